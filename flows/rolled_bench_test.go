package flows

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkRollUps tells what an order of six steps contributes, in saves of so many, of five seconds each: the
// time is that of an order, its share of the save's end included.
func BenchmarkRollUps(b *testing.B) {
	f := &Flow{Name: "f"}
	for s := range 6 {
		step := Step{ID: fmt.Sprint("s", s), Within: time.Hour}
		if s > 0 {
			step.After = []int{s - 1}
		}
		f.Steps = append(f.Steps, step)
	}
	f.Steps[0].Start, f.Steps[5].End = true, Completed
	for _, orders := range []int{10, 100, 1000, 16_000, 80_000} {
		b.Run(fmt.Sprint(orders), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			rolled := NewRollUps(f)
			var in Instance
			var now Time
			said, n := 0, 0
			occurrences := make([]Occurrence, 6)
			b.ReportAllocs()
			for b.Loop() {
				at := now
				for s := range occurrences {
					occurrences[s] = Occurrence{Step: s, At: at, Start: at, Source: "/test", ID: "x"}
					at = at.Add(time.Duration(r.ExpFloat64() * float64(time.Second)))
				}
				rolled.Change(&in, nil, occurrences)
				if n++; n%orders == 0 {
					said += len(rolled.Take())
					now = now.Add(5 * time.Second)
				}
			}
			if n > orders {
				b.ReportMetric(float64(said)/float64(n/orders), "rows/save")
			}
		})
	}
}
