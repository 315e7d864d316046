package flows

import (
	"testing"
	"time"
)

// BenchmarkFold folds an order with all its signals but the last, as each change does.
func BenchmarkFold(b *testing.B) {
	f := order()
	f.Idle, f.Expire = 24*time.Hour, 240*time.Hour
	occurrences := []Occurrence{at(0, 0), at(1, 5), at(2, 30), at(3, 200)}
	var in Instance
	b.ReportAllocs()
	for b.Loop() {
		f.FoldInto(&in, occurrences, 300*minute)
	}
}
