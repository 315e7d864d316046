package engine

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"throughline/flows"
)

// crashes is a store that rows are written to, until the process ends between any two of them.
type crashes struct {
	saved
	rows    map[string]flows.InstanceRecord
	pending int        // signals that the save which Take returns next has; -1 for none
	alive   flows.Time // of the last job that was written whole
}

func (c *crashes) writeRows(rows []flows.InstanceRecord) {
	for _, r := range rows {
		r.AsOf, r.StuckFor = 0, 0
		r.WaitingOn, r.Path = append([]flows.WaitingRecord{}, r.WaitingOn...), append([]string{}, r.Path...)
		r.Deviations = append([]flows.Deviation{}, r.Deviations...)
		c.rows[r.Key] = r
	}
}

// flush writes what is owed; false where the process ended meanwhile.
func (c *crashes) flush(e *Engine, rng *rand.Rand, now flows.Time) bool {
	rows := e.Take()
	if rng != nil && rng.IntN(12) == 0 {
		c.writeRows(rows.Instances[:rng.IntN(len(rows.Instances)+1)])
		return false
	}
	c.writeRows(rows.Instances)
	c.write(rows)
	if c.pending >= 0 {
		c.at, c.pending = c.pending, -1
	}
	c.alive = now
	return true
}

// restart is what a process does that finds what another one left.
func (c *crashes) restart(t *testing.T, s *flows.Set, signals []flows.Signal, now flows.Time) *Engine {
	t.Helper()
	c.begun, c.pending = -1, -1
	e := NewFramed(s, c.frame)
	if len(c.frame.Names) == 0 {
		c.states, c.at = map[uint64]State{}, 0
		c.frame.Key = e.Frame().Key
	}
	e.limits.following = 0
	e.Roll(now)
	if err := e.Adopt(slices.Collect(maps.Values(c.states)), c.alive); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range c.rows {
		e.Reconcile(&r, seen)
	}
	e.OweUnseen("order", seen)
	e.Rework(true)
	e.Apply(signals[c.at:], c.alive)
	e.Rework(false)
	return e
}

// Rows of verdicts that time gave may be written long after the checkpoint of what was
// applied then. Whenever the process ends between any two writes, the next one has the same
// state, and in the end the same rows are there.
func TestCrashBeforeRowsFollowed(t *testing.T) {
	s := set(t, sixSteps)
	ends, followed := 0, 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 21))
		c := &crashes{rows: map[string]flows.InstanceRecord{}, pending: -1}
		c.begun = -1
		e := c.restart(t, s, nil, 0)
		var signals []flows.Signal
		now := flows.Time(0)
		for range 120 {
			now += flows.Time(rng.IntN(20)) * minute / 4
			switch rng.IntN(7) {
			case 0, 1:
				signals = append(signals, orderSignal(s, rng.IntN(12), rng.IntN(6), now-flows.Time(rng.IntN(10))*minute))
				e.Roll(now)
				e.Apply(signals[len(signals)-1:], now)
			case 2, 3:
				e.AdvanceSome(now, 1+rng.IntN(4))
			case 4:
				if c.begun < 0 {
					c.begun = len(signals)
					e.BeginSave()
				}
				if e.Save(now, rng.IntN(40)) {
					c.pending, c.begun = c.begun, -1
				}
				e.Rest(now.Add(restAfter), rng.IntN(60))
			case 5:
				followed += e.Following()
				e.Follow(rng.IntN(4))
			default:
				if !c.flush(e, rng, now) {
					ends++
					e = c.restart(t, s, signals, now)
				}
			}
		}
		e.Advance(now)
		for e.Owed() > 0 {
			e.Follow(5)
			c.flush(e, nil, now)
		}
		want := New(s)
		want.Roll(now)
		want.Apply(signals, now)
		rows := crashes{rows: map[string]flows.InstanceRecord{}}
		rows.writeRows(records(want))
		if equal(t, rows.rows, c.rows); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		equal(t, want.Cohorts(), e.Cohorts())
		equal(t, health(want, "order", now), health(e, "order", now))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if ends < 300 || followed < 300 {
		t.Errorf("%d ends, %d rows that followed: this test shows too little", ends, followed)
	}
}
