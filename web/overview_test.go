package web

import (
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

// TestTogether adds up answers that are a bucket apart.
func TestTogether(t *testing.T) {
	early := &flows.Series{From: noon, Bucket: time.Minute, Started: []int{1, 2, 3}, Ended: map[flows.State][]int{flows.Completed: {0, 1, 1}}}
	late := &flows.Series{From: noon.Add(time.Minute), Bucket: time.Minute, Started: []int{10, 20, 30}, Ended: map[flows.State][]int{flows.Failed: {9, 9, 9}}}
	got := together([]*flows.Series{early, late})
	if got.From != noon.Add(time.Minute) || !slices.Equal(got.Started, []int{12, 23}) || !slices.Equal(got.Ended[flows.Completed], []int{1, 1}) {
		t.Errorf("together: %+v", got)
	}
}
