package flows

import (
	"math/bits"
	"slices"
)

// AddRollUp adds what a roll-up says, which may be less than nothing: Settle follows the last. What speaks of
// a step that the flow does not have counts nowhere.
func (t *Tally) AddRollUp(f *Flow, r *RollUp) {
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
	case MeasureLatency:
		t.Latency.addBin(r)
		return
	}
	if step < 0 {
		return
	}
	s := &t.Steps[step]
	switch r.Measure {
	case MeasureReached:
		s.Reached += int(r.Count)
	case MeasureStepLatency:
		s.Latency.addBin(r)
	case MeasureSkipped:
		s.Skipped += int(r.Count)
	case MeasureErrors:
		s.Errors += int(r.Count)
	case MeasureEdge:
		to := slices.IndexFunc(f.Steps, func(s Step) bool { return s.ID == r.To })
		if to < 0 {
			return
		}
		pair := [2]int{step, to}
		if t.Edges[pair] == nil {
			t.Edges[pair] = new(Sketch)
		}
		t.Edges[pair].addBin(r)
	}
}

// Settle brings distributions in order that AddRollUp changed.
func (t *Tally) Settle() {
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
