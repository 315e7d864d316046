package flows

import (
	"slices"
	"strconv"
	"testing"
	"time"
)

// BenchmarkFold folds an order with all its signals but the last, as each change does:
// a flow that knows nothing but steps, then with all else that a flow may have.
func BenchmarkFold(b *testing.B) {
	plain := order()
	plain.Idle, plain.Expire = 24*time.Hour, 240*time.Hour
	run := func(name string, f *Flow, occurrences ...Occurrence) {
		b.Run(name, func(b *testing.B) {
			var in Instance
			b.ReportAllocs()
			for b.Loop() {
				f.FoldInto(&in, occurrences, 300*minute)
			}
		})
	}
	story := []Occurrence{at(0, 0), at(1, 5), at(2, 30), at(3, 200)}
	run("steps", plain, story...)
	held := order()
	held.Idle, held.Expire, held.Holds = plain.Idle, plain.Expire, []Hold{{ID: "h"}, {ID: "i", AtMost: time.Hour}}
	run("hold", held, append(slices.Clone(story), at(6, 210), at(7, 220))...)
	calendar := order()
	calendar.Steps[1].Calendar, calendar.Steps[3].Calendar = office, office
	run("calendar", calendar, story...)
	for _, n := range []int{10, 100, 10_000} {
		children := []Occurrence{kid(0, 0, "", n)}
		for i := range n {
			children = append(children, kid(1, 1, strconv.Itoa(i), -1))
		}
		run("children/"+strconv.Itoa(n), parcels(), children...)
	}
}
