package web

import (
	"context"
	"slices"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

// startedTogether adds up what started and completed in all flows; nil where history cannot
// say, or the range has no picture. Answers may be a bucket apart: a bucket counts where all
// have it.
func (s *Server) startedTogether(ctx context.Context, all []*flows.Flow, rng views.Range) *flows.Series {
	parts := make([]*flows.Series, len(all))
	eachAtOnce(all, func(i int, f *flows.Flow) { parts[i] = s.series(ctx, f, rng, flows.NoTime) })
	if len(parts) == 0 || slices.Contains(parts, nil) {
		return nil
	}
	return together(parts)
}

func together(parts []*flows.Series) *flows.Series {
	from, bucket := parts[0].From, parts[0].Bucket
	until := from.Add(bucket * time.Duration(len(parts[0].Started)))
	for _, p := range parts {
		from, until = max(from, p.From), min(until, p.From.Add(bucket*time.Duration(len(p.Started))))
	}
	n := max(int(until.Sub(from)/bucket), 0)
	sum := &flows.Series{From: from, Bucket: bucket, Started: make([]int, n), Ended: map[flows.State][]int{flows.Completed: make([]int, n)}}
	for _, p := range parts {
		skipped := int(from.Sub(p.From) / bucket)
		for i := range n {
			sum.Started[i] += p.Started[i+skipped]
			if done := p.Ended[flows.Completed]; done != nil {
				sum.Ended[flows.Completed][i] += done[i+skipped]
			}
		}
	}
	return sum
}
