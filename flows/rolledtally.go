package flows

import (
	"cmp"
	"math/bits"
	"slices"
	"time"
)

// RolledSeries names one distribution of a flow's roll-ups.
type RolledSeries struct {
	Measure  Measure
	Step, To string
}

// FewRolled are the distributions of which roll-ups, with what t holds, have so few values that their percentiles are to be
// exact: what was told of single durations is needed of them.
func (t *Tally) FewRolled(f *Flow, said []RollUp) (few []RolledSeries) {
	counts := map[RolledSeries]int{}
	for i := range said {
		if r := &said[i]; r.Measure.Distribution() && r.Span != RollUpValue {
			counts[RolledSeries{r.Measure, r.Step, r.To}] += int(r.Count)
		}
	}
	for series, n := range counts {
		if s := t.sketch(f, series); s != nil && s.count+n <= exactValues {
			few = append(few, series)
		}
	}
	slices.SortFunc(few, func(a, b RolledSeries) int {
		return cmp.Or(cmp.Compare(a.Measure, b.Measure), cmp.Compare(a.Step, b.Step), cmp.Compare(a.To, b.To))
	})
	return few
}

// AddRollUps adds what roll-ups say, which may be less than nothing. Of the distributions of FewRolled all single durations are
// to be among it; false where they do not say what the bins do, and bins were added, within 1 %.
func (t *Tally) AddRollUps(f *Flow, said []RollUp, few []RolledSeries) (exact bool) {
	told := make(map[RolledSeries]*rolledFew, len(few))
	for _, series := range few {
		told[series] = &rolledFew{values: map[time.Duration]int64{}}
	}
	for i := range said {
		if one := told[RolledSeries{said[i].Measure, said[i].Step, said[i].To}]; one != nil {
			one.add(&said[i])
		}
	}
	exact = true
	for series, one := range told {
		if one.agrees() {
			one.put(t.sketch(f, series))
		} else {
			exact = false
			delete(told, series)
		}
	}
	for i := range said {
		if told[RolledSeries{said[i].Measure, said[i].Step, said[i].To}] == nil {
			t.addRollUp(f, &said[i])
		}
	}
	t.settle()
	return exact
}

// rolledFew are the single durations of a distribution, and what is left of its bins without them.
type rolledFew struct {
	values map[time.Duration]int64
	rest   rolledSum
	unsaid bool
}

func (w *rolledFew) add(r *RollUp) {
	switch {
	case r.Span != RollUpValue:
		w.rest.add(r.Count, 1, r.SumHi, r.SumLo)
	case r.Took == Unsaid:
		w.unsaid = true
	default:
		w.values[r.Took] += r.Count
		high, low := bits.Mul64(uint64(r.Took), uint64(max(r.Count, -r.Count)))
		sign := -1
		if r.Count < 0 {
			sign = 1
		}
		w.rest.add(-r.Count, sign, int64(high), low)
	}
}

// agrees says whether the single durations are all there are.
func (w *rolledFew) agrees() bool {
	for _, n := range w.values {
		if n < 0 {
			return false
		}
	}
	return !w.unsaid && w.rest == rolledSum{}
}

func (w *rolledFew) put(s *Sketch) {
	for took, n := range w.values {
		for range n {
			s.Add(took)
		}
	}
}

// sketch is that of a distribution; nil where the flow does not have its steps.
func (t *Tally) sketch(f *Flow, series RolledSeries) *Sketch {
	at := func(id string) int { return slices.IndexFunc(f.Steps, func(s Step) bool { return s.ID == id }) }
	step, to := at(series.Step), at(series.To)
	switch {
	case series.Measure == MeasureLatency:
		return &t.Latency
	case step < 0:
		return nil
	case series.Measure == MeasureStepLatency:
		return &t.Steps[step].Latency
	case to < 0:
		return nil
	}
	pair := [2]int{step, to}
	if t.Edges[pair] == nil {
		t.Edges[pair] = new(Sketch)
	}
	return t.Edges[pair]
}

// addRollUp adds what a roll-up says: settle follows the last. What speaks of a step that the flow does not have counts nowhere.
func (t *Tally) addRollUp(f *Flow, r *RollUp) {
	if r.Span == RollUpValue {
		return
	}
	if r.Measure.Distribution() {
		if s := t.sketch(f, RolledSeries{r.Measure, r.Step, r.To}); s != nil {
			s.addBin(r)
		}
		return
	}
	step := slices.IndexFunc(f.Steps, func(s Step) bool { return s.ID == r.Step })
	if state, ok := r.Measure.State(); ok {
		t.Ended[state] += int(r.Count)
		return
	}
	switch r.Measure {
	case MeasureStarted:
		t.Started += int(r.Count)
		return
	case MeasureConforming:
		t.Conforming += int(r.Count)
		return
	}
	if step < 0 {
		return
	}
	s := &t.Steps[step]
	switch r.Measure {
	case MeasureReached:
		s.Reached += int(r.Count)
	case MeasureSkipped:
		s.Skipped += int(r.Count)
	case MeasureErrors:
		s.Errors += int(r.Count)
	}
}

// settle brings distributions in order that addRollUp changed.
func (t *Tally) settle() {
	t.Latency.settle()
	for s := range t.Steps {
		t.Steps[s].Latency.settle()
	}
	for pair, sketch := range t.Edges {
		if sketch.settle(); sketch.count == 0 {
			delete(t.Edges, pair)
		}
	}
}

// addBin adds what a roll-up says of one bin. The greatest value is not known until settle.
func (s *Sketch) addBin(r *RollUp) {
	s.giveUpValues()
	count := &s.zeros
	if r.Bin >= 0 {
		count = s.at(int32(r.Bin))
	}
	*count += int32(r.Count)
	s.count += int(r.Count)
	var carry uint64
	s.sumLo, carry = bits.Add64(s.sumLo, r.SumLo, 0)
	s.sumHi += r.SumHi + int64(carry)
}

// settle finds the greatest value: about that of the highest bin, or exactly where it was added by itself.
func (s *Sketch) settle() {
	if s.count == 0 {
		*s = Sketch{}
	}
	if highest := s.highest(); s.inexact && binValue(bin(s.max)) != highest {
		s.max = highest
	}
}
