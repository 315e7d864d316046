package flows

import (
	"cmp"
	"slices"
	"time"
)

// Tally counts what happened in a span of time to the instances of a flow, each thing at
// its own instant (FLOWS.md section 8): started by the earliest step, ends by the end's
// time, reached, errors and edges by step time. What was counted can be taken out again.
type Tally struct {
	Started    int
	Ended      [Expired + 1]int // by state
	Conforming int
	Latency    Sketch // end to end, of the completed
	Steps      []StepTally
	Edges      map[[2]int]*Sketch // by the positions of two neighbouring steps
}

// StepTally counts what happened at one step.
type StepTally struct {
	Reached, Skipped, Errors int
	Latency                  Sketch
}

// NewTally is an empty tally for a flow.
func NewTally(f *Flow) *Tally {
	return &Tally{Steps: make([]StepTally, len(f.Steps)), Edges: make(map[[2]int]*Sketch)}
}

// CountInstance visits everything that an instance contributes. For each thing it asks
// for the tally of that instant, nil for none, and adds (sign 1) or takes out (-1).
func CountInstance(in *Instance, sign int, at func(Time) *Tally) {
	countEnds(in, sign, at)
	for s := range in.Steps {
		countStep(in, s, sign, at)
	}
	countFailures(in.Failures, sign, at)
	for i := 1; i < len(in.Path); i++ {
		countEdge(in, i, sign, at)
	}
}

// CountChange is CountInstance of before, taken out, and of after, added, both of one flow.
// It leaves alone what both contribute to the same tally: an instance of many steps changes
// in few. was tells the tallies that before was counted in, is those of now; up to the instant
// agreed both tell the same.
func CountChange(before, after *Instance, agreed Time, was, is func(Time) *Tally) {
	countEnds(before, -1, was)
	countEnds(after, 1, is)
	for s := range after.Steps {
		if !sameStep(before, after, s, agreed, was, is) {
			countStep(before, s, -1, was)
			countStep(after, s, 1, is)
		}
	}
	countFailures(before.Failures, -1, was)
	countFailures(after.Failures, 1, is)
	for i := 1; i < max(len(before.Path), len(after.Path)); i++ {
		if sameEdge(before, after, i, agreed, was, is) {
			continue
		}
		if i < len(before.Path) {
			countEdge(before, i, -1, was)
		}
		if i < len(after.Path) {
			countEdge(after, i, 1, is)
		}
	}
}

func countEnds(in *Instance, sign int, at func(Time) *Tally) {
	if in.Began { // a hold alone starts nothing
		if t := at(in.StartedAt); t != nil {
			t.Started += sign
		}
	}
	if in.State.InFlight() {
		return
	}
	if t := at(in.EndedAt); t != nil {
		t.Ended[in.State] += sign
		if in.Conforming {
			t.Conforming += sign
		}
		if latency, ok := in.Latency(); ok {
			t.Latency.put(latency, sign)
		}
	}
}

func countFailures(failures []Failure, sign int, at func(Time) *Tally) {
	for _, failure := range failures {
		if t := at(failure.At); t != nil {
			t.Steps[failure.Step].Errors += sign
		}
	}
}

func sameStep(before, after *Instance, s int, agreed Time, was, is func(Time) *Tally) bool {
	b, a := &before.Steps[s], &after.Steps[s]
	if b.Skipped || a.Skipped || b.At != a.At || b.Latency != a.Latency || (b.DueAt == NoTime) != (a.DueAt == NoTime) {
		return false
	}
	return a.At == NoTime || a.At <= agreed || was(a.At) == is(a.At)
}

func sameEdge(before, after *Instance, i int, agreed Time, was, is func(Time) *Tally) bool {
	return i < len(before.Path) && i < len(after.Path) &&
		before.Path[i-1] == after.Path[i-1] && before.Path[i] == after.Path[i] &&
		before.Times[i-1] == after.Times[i-1] && before.Times[i] == after.Times[i] &&
		(after.Times[i] <= agreed || was(after.Times[i]) == is(after.Times[i]))
}

func countEdge(in *Instance, i, sign int, at func(Time) *Tally) {
	if t := at(in.Times[i]); t != nil {
		t.edge(in.Path[i-1], in.Path[i], in.Times[i].Sub(in.Times[i-1]), sign)
	}
}

func countStep(in *Instance, s, sign int, at func(Time) *Tally) {
	step := &in.Steps[s]
	if step.Skipped { // known when the instance moved on
		if t := at(in.LastAt); t != nil {
			t.Steps[s].Skipped += sign
		}
	}
	if step.At == NoTime {
		return
	}
	if t := at(step.At); t != nil {
		t.Steps[s].Reached += sign
		if step.DueAt != NoTime {
			t.Steps[s].Latency.put(step.Latency, sign)
		}
	}
}

func (t *Tally) edge(from, to int, took time.Duration, sign int) {
	pair := [2]int{from, to}
	sketch := t.Edges[pair]
	if sketch == nil {
		sketch = new(Sketch)
		t.Edges[pair] = sketch
	}
	if sketch.put(took, sign); sketch.Count() == 0 {
		delete(t.Edges, pair)
	}
}

func (s *Sketch) put(d time.Duration, sign int) {
	if sign > 0 {
		s.Add(d)
	} else {
		s.Remove(d)
	}
}

// Merge adds all that o counted.
func (t *Tally) Merge(o *Tally) {
	t.Started += o.Started
	t.Conforming += o.Conforming
	for state, n := range o.Ended {
		t.Ended[state] += n
	}
	t.Latency.Merge(&o.Latency)
	for s := range o.Steps {
		t.Steps[s].Reached += o.Steps[s].Reached
		t.Steps[s].Skipped += o.Steps[s].Skipped
		t.Steps[s].Errors += o.Steps[s].Errors
		t.Steps[s].Latency.Merge(&o.Steps[s].Latency)
	}
	for pair, sketch := range o.Edges {
		if t.Edges[pair] == nil {
			t.Edges[pair] = new(Sketch)
		}
		t.Edges[pair].Merge(sketch)
	}
}

// Thin says whether so much was taken out again that a distribution could be exact, and is not:
// a sum of tallies of shorter spans may be.
func (t *Tally) Thin() bool {
	for s := range t.Steps {
		if t.Steps[s].Latency.thin() {
			return true
		}
	}
	for _, sketch := range t.Edges {
		if sketch.thin() {
			return true
		}
	}
	return t.Latency.thin()
}

// Gauges count the instances of a flow that are in flight at one instant.
type Gauges struct {
	InFlight, Held, Stuck, Unknown int
	WithValue                      int
	value, atRisk                  Sums
	Waiting, Overdue               []int  // by step
	StuckAt, UnknownAt             []int  // by step, of those that are overdue: in stuck, in unknown instances
	Age                            Sketch // since the start; filled by the caller's AddAge
}

// NewGauges are empty gauges for a flow.
func NewGauges(f *Flow) *Gauges {
	n := len(f.Steps)
	return &Gauges{value: Sums{}, atRisk: Sums{}, Waiting: make([]int, n), Overdue: make([]int, n), StuckAt: make([]int, n), UnknownAt: make([]int, n)}
}

// Count adds (sign 1) or takes out (-1) an instance as it was judged at now.
func (g *Gauges) Count(in *Instance, now Time, sign int) {
	if !in.State.InFlight() {
		return
	}
	g.InFlight += sign
	switch in.State {
	case Held:
		g.Held += sign
	case Stuck:
		g.Stuck += sign
	case Unknown:
		g.Unknown += sign
	}
	if in.Amount.Valid {
		g.WithValue += sign
		g.value.Add(in.Currency, in.Amount, sign)
		if in.State == Stuck {
			g.atRisk.Add(in.Currency, in.Amount, sign)
		}
	}
	for _, w := range in.WaitingOn {
		g.Waiting[w.Step] += sign
		if w.Overdue(now) {
			g.Overdue[w.Step] += sign
			switch in.State {
			case Stuck:
				g.StuckAt[w.Step] += sign
			case Unknown:
				g.UnknownAt[w.Step] += sign
			}
		}
	}
}

// Health puts a window's tally and the gauges at its end into the numbers that are shown.
// window is its length, 0 for all history, over which span is the time that throughput
// is measured on.
func (f *Flow) Health(t *Tally, g *Gauges, asOf Time, window, span time.Duration) Health {
	h := Health{
		Flow: f.Name, Version: f.Version, AsOf: asOf, Started: t.Started,
		Completed: t.Ended[Completed], Failed: t.Ended[Failed], Cancelled: t.Ended[Cancelled],
		Resolved: t.Ended[Resolved], Expired: t.Ended[Expired],
		InFlight: g.InFlight, Held: g.Held, Stuck: g.Stuck, Unknown: g.Unknown,
		ValueInFlight: g.value.Money(), ValueAtRisk: g.atRisk.Money(),
		Latency: t.Latency.Distribution(), OpenAge: g.Age.Distribution(), Estimate: KaplanMeier(&t.Latency, &g.Age),
		Steps: f.stepHealth(t, g), Edges: f.edgeHealth(t),
	}
	if window > 0 {
		h.WindowSeconds = seconds(int64(window))
	}
	if g.InFlight > 0 {
		h.ValueCoverage = share(g.WithValue, g.InFlight)
	}
	if h.Completed > 0 {
		h.ComplianceRate = share(t.Conforming, h.Completed)
	}
	if span > 0 {
		h.ThroughputPerMinute = float64(h.Completed) / span.Minutes()
	}
	h.Health = f.healthWord(&h)
	return h
}

// healthWord is the worst that holds. Late is a flow of which one step in a hundred took
// longer than its limit in this window, though none is past it now.
func (f *Flow) healthWord(h *Health) HealthWord {
	switch {
	case h.Stuck > 0:
		return HealthStuck
	case h.Unknown > 0:
		return HealthUnknown
	case f.late(h):
		return HealthLate
	case h.InFlight > 0 || h.Started > 0 || h.Completed > 0:
		return HealthOK
	}
	return HealthQuiet
}

func (f *Flow) late(h *Health) bool {
	for s := range h.Steps {
		step, p99 := &f.Steps[s], h.Steps[s].Latency.P99
		limited := step.Within > 0 && step.Calendar == nil && !step.Optional // latency is no working time
		if limited && p99 != nil && *p99 > step.Within.Seconds() {
			return true
		}
	}
	return false
}

func share(part, whole int) *float64 {
	s := float64(part) / float64(whole)
	return &s
}

func (f *Flow) stepHealth(t *Tally, g *Gauges) []StepHealth {
	steps := make([]StepHealth, len(f.Steps))
	for s := range steps {
		n := &t.Steps[s]
		steps[s] = StepHealth{
			Step: f.Steps[s].ID, Reached: n.Reached, Waiting: g.Waiting[s], Overdue: g.Overdue[s],
			Stuck: g.StuckAt[s], Unknown: g.UnknownAt[s], Skipped: n.Skipped, Errors: n.Errors, Latency: n.Latency.Distribution(),
		}
	}
	return steps
}

// edgeHealth lists the edges, most frequent first, then in file order.
func (f *Flow) edgeHealth(t *Tally) []EdgeHealth {
	pairs := make([][2]int, 0, len(t.Edges))
	for pair := range t.Edges {
		pairs = append(pairs, pair)
	}
	slices.SortFunc(pairs, func(a, b [2]int) int {
		return cmp.Or(cmp.Compare(t.Edges[b].Count(), t.Edges[a].Count()), cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	edges := make([]EdgeHealth, len(pairs))
	for i, pair := range pairs {
		sketch := t.Edges[pair]
		edges[i] = EdgeHealth{
			From: f.Steps[pair[0]].ID, To: f.Steps[pair[1]].ID, Count: sketch.Count(), Latency: sketch.Distribution(),
		}
	}
	return edges
}
