package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

// BenchmarkHealth folds all history of 50,000 instances of 10 occurrences: one operation is
// half a million occurrences.
func BenchmarkHealth(b *testing.B) {
	const instances, length = 50_000, 10
	s, f := openStore(b), &flows.Flow{Name: "bench", Key: "order_id", Idle: time.Hour, Segments: []string{"region"}}
	for i := range length {
		f.Steps = append(f.Steps, flows.Step{ID: fmt.Sprintf("step-%d", i), Repeat: true})
	}
	start := flows.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	var rows []flows.OccurrenceRecord
	for i := range instances {
		key := fmt.Sprintf("order-%d", i)
		for j := range length {
			at := start.Add(time.Duration(i)*time.Second + time.Duration(j)*time.Minute)
			rows = append(rows, f.OccurrenceRecord(key, flows.Occurrence{
				Step: j, At: at, Start: at, Source: "/bench", ID: fmt.Sprintf("%s-%d", key, j), System: "bench",
				Segments: []string{"EU"},
			}))
		}
	}
	for chunk := range slices.Chunk(rows, 50_000) {
		if err := s.WriteOccurrences(b.Context(), 1, chunk); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for b.Loop() {
		h, err := s.Health(b.Context(), f, flows.Window{From: flows.NoTime, To: start.Add(1000 * time.Hour), Hindsight: true}, "")
		if err != nil {
			b.Fatal(err)
		}
		if h.Started != instances {
			b.Fatalf("%d started", h.Started)
		}
	}
	b.ReportMetric(float64(b.N*len(rows))/b.Elapsed().Seconds(), "occurrences/s")
}
