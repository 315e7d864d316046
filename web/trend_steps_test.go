package web

import (
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

func TestStepTrend(t *testing.T) {
	var steps stepTrends
	health := func(after time.Duration, waiting, overdue int) flows.Health {
		return flows.Health{Version: "1", AsOf: noon.Add(after), Steps: []flows.StepHealth{{}, {Waiting: waiting, Overdue: overdue, Stuck: overdue}}}
	}
	steps.add(health(0, 5, 0))
	steps.add(health(9*time.Second, 6, 1))  // the same sample: the latest counts
	steps.add(health(35*time.Second, 9, 2)) // two samples in which nothing was said
	got := steps.of(1, noon.Add(40*time.Second))
	if want := []float64{6, 6, 6, 9, 9}; !slices.Equal(got.Waiting, want) || got.From != noon {
		t.Errorf("from %v waiting %v, want %v", got.From, got.Waiting, want)
	}
	if want := []float64{1, 1, 1, 2, 2}; !slices.Equal(got.Overdue, want) {
		t.Errorf("overdue %v, want %v", got.Overdue, want)
	}
	restoring := health(50*time.Second, 0, 0)
	restoring.Restoring = true
	steps.add(restoring)
	if got := steps.of(1, noon.Add(50*time.Second)); got.Waiting[5] != 9 {
		t.Errorf("what was short while restoring is a sample: %v", got.Waiting)
	}
	steps.add(health(2*time.Hour, 1, 1))
	if got := steps.of(1, noon.Add(2*time.Hour)); len(got.Waiting) != 1 {
		t.Errorf("after a long silence %v", got.Waiting)
	}
	other := health(2*time.Hour+10*time.Second, 3, 0)
	other.Version = "2"
	steps.add(other)
	if got := steps.of(1, other.AsOf); len(got.Waiting) != 1 || len(steps.of(7, other.AsOf).Waiting) != 0 {
		t.Errorf("samples of other steps: %v", got.Waiting)
	}
	for i := range stepSamples * 2 {
		steps.add(flows.Health{Version: "2", AsOf: noon.Add(3*time.Hour + time.Duration(i)*stepEvery), Steps: []flows.StepHealth{{Waiting: i}}})
	}
	got = steps.of(0, noon.Add(3*time.Hour+(2*stepSamples-1)*stepEvery))
	if len(got.Waiting) != stepSamples || got.Waiting[0] != stepSamples {
		t.Errorf("%d samples from %v", len(got.Waiting), got.Waiting[0])
	}
}
