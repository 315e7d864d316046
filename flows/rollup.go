package flows

import (
	"cmp"
	"math/bits"
	"slices"
	"time"
)

// Measure names what a roll-up counts.
type Measure uint8

// The measures. Those with a distribution have a count and a sum in each bin of a Sketch;
// of the others the count alone says something.
const (
	MeasureStarted     Measure = iota
	MeasureCompleted           // ends, by the step that ended it
	MeasureFailed              //
	MeasureCancelled           //
	MeasureResolved            // at no step
	MeasureExpired             // at no step
	MeasureConforming          // of the completed
	MeasureLatency             // end to end, of the completed: a distribution
	MeasureReached             // by step
	MeasureStepLatency         // by step: a distribution
	MeasureSkipped             // by step
	MeasureErrors              // by step
	MeasureEdge                // from a step to another: a distribution
)

var measureNames = [...]string{
	"started", "completed", "failed", "cancelled", "resolved", "expired", "conforming", "latency", "reached", "step_latency", "skipped", "errors", "edge",
}

func (m Measure) String() string { return measureNames[m] }

// ParseMeasure reads a measure's word.
func ParseMeasure(word string) (Measure, bool) {
	at := slices.Index(measureNames[:], word)
	return Measure(max(at, 0)), at >= 0
}

// Distribution says whether a measure has bins.
func (m Measure) Distribution() bool {
	return m == MeasureLatency || m == MeasureStepLatency || m == MeasureEdge
}

// measureOf is that of an end.
func measureOf(state State) Measure { return MeasureCompleted + Measure(state-Completed) }

// State is the end that a measure counts; false for one that counts no ends.
func (m Measure) State() (State, bool) {
	return Completed + State(m-MeasureCompleted), m >= MeasureCompleted && m <= MeasureExpired
}

// The spans of time by which roll-ups are kept. Those of single durations beside them are by
// the minute, and say of it again what its bins do.
const (
	RollUpMinute = time.Minute
	RollUpHour   = time.Hour
	RollUpValue  = time.Duration(-1)
)

// RollUp is what happened to the instances of a flow in one minute or hour, of one measure:
// how much more or, where negative, less than was said before.
type RollUp struct {
	Span    time.Duration // RollUpMinute, RollUpHour or RollUpValue
	Start   Time          // a multiple of Span; of a value, the minute
	Measure Measure
	Step    string // "" for none
	To      string // of an edge, whose Step is where it begins
	Bin     int16  // of a distribution: see Sketch
	Count   int64
	SumHi   int64 // with SumLo the sum of durations in nanoseconds, 128 bits, two's complement
	SumLo   uint64
	Took    time.Duration // of a value: the duration; Unsaid for all of which only the bins are told
}

// Unsaid stands for the single durations of a minute that were too many to be told.
const Unsaid = time.Duration(-1)

// RollUps are differences of what the instances of a flow contribute to its numbers
// (FLOWS.md section 8), by minute. What an instance contributes depends on the set of its
// signals alone, and on no clock: when it will expire if nothing more arrives is known, and
// is counted in that minute. Who reads up to now reads only what has passed.
type RollUps struct {
	flow          *Flow
	sums          map[rolledKey]rolledSum
	single        []single // durations of the sums, in lists
	limits        singleLimits
	before, after [rolledParts][]rolledValue // scratch
}

// rolledKey is by positions, -1 for none.
type rolledKey struct {
	minute   int32
	measure  Measure
	bin      int16
	step, to int16
}

type rolledSum struct {
	count int64
	hi    int64
	lo    uint64
	singles
}

// rolledValue is one contribution of an instance.
type rolledValue struct {
	at       Time
	took     time.Duration
	measure  Measure
	step, to int16
}

// rolledParts are the lists of contributions that change apart from each other.
const rolledParts = 4

// NewRollUps are none yet.
func NewRollUps(f *Flow) *RollUps {
	return &RollUps{flow: f, sums: map[rolledKey]rolledSum{}, limits: toldSingles}
}

// Empty says that nothing changed.
func (r *RollUps) Empty() bool { return len(r.sums) == 0 }

// Change takes out what the occurrences before contributed, and adds what those after do.
// Either may make no instance, or several (Flow.Parts). Both are brought in order; in is
// scratch.
func (r *RollUps) Change(in *Instance, before, after []Occurrence) {
	r.list(&r.before, in, before)
	r.list(&r.after, in, after)
	for part := range r.before {
		b, a := r.before[part], r.after[part]
		for len(b) > 0 && len(a) > 0 && b[0] == a[0] {
			b, a = b[1:], a[1:]
		}
		for len(b) > 0 && len(a) > 0 && b[len(b)-1] == a[len(a)-1] {
			b, a = b[:len(b)-1], a[:len(a)-1]
		}
		for i := range b {
			r.add(&b[i], -1)
		}
		for i := range a {
			r.add(&a[i], 1)
		}
	}
}

func (r *RollUps) list(lists *[rolledParts][]rolledValue, in *Instance, occurrences []Occurrence) {
	for part := range lists {
		lists[part] = lists[part][:0]
	}
	if len(occurrences) == 0 || !r.flow.Exists(occurrences) {
		return
	}
	if !r.flow.Reopen {
		r.contribute(lists, in, occurrences)
		return
	}
	for _, part := range r.flow.Parts(occurrences) {
		if r.flow.Exists(part) {
			r.contribute(lists, in, part)
		}
	}
}

// contribute lists what CountInstance counts of an instance, all of it that will be.
func (r *RollUps) contribute(lists *[rolledParts][]rolledValue, in *Instance, occurrences []Occurrence) {
	r.flow.FoldInto(in, occurrences, Clock(occurrences, occurrences[len(occurrences)-1].At))
	if in.State.InFlight() && in.ExpiresAt != NoTime && (Clock(occurrences, NoTime) == NoTime) {
		in.State, in.EndedAt = Expired, in.ExpiresAt
	}
	ends, steps, errors, edges := &lists[0], &lists[1], &lists[2], &lists[3]
	if in.Began {
		*ends = append(*ends, rolledValue{in.StartedAt, 0, MeasureStarted, -1, -1})
	}
	if !in.State.InFlight() {
		*ends = append(*ends, rolledValue{in.EndedAt, 0, measureOf(in.State), int16(in.EndStep), -1})
		if in.Conforming {
			*ends = append(*ends, rolledValue{in.EndedAt, 0, MeasureConforming, -1, -1})
		}
		if latency, ok := in.Latency(); ok {
			*ends = append(*ends, rolledValue{in.EndedAt, latency, MeasureLatency, -1, -1})
		}
	}
	for s := range in.Steps {
		step := &in.Steps[s]
		if step.Skipped {
			*steps = append(*steps, rolledValue{in.LastAt, 0, MeasureSkipped, int16(s), -1})
		}
		if step.At == NoTime {
			continue
		}
		*steps = append(*steps, rolledValue{step.At, 0, MeasureReached, int16(s), -1})
		if step.DueAt != NoTime {
			*steps = append(*steps, rolledValue{step.At, step.Latency, MeasureStepLatency, int16(s), -1})
		}
	}
	for _, failure := range in.Failures {
		*errors = append(*errors, rolledValue{failure.At, 0, MeasureErrors, int16(failure.Step), -1})
	}
	for i := 1; i < len(in.Path); i++ {
		*edges = append(*edges, rolledValue{in.Times[i], in.Times[i].Sub(in.Times[i-1]), MeasureEdge, int16(in.Path[i-1]), int16(in.Path[i])})
	}
}

func (r *RollUps) add(v *rolledValue, sign int) {
	key := rolledKey{minute: int32(floorTo(v.at, RollUpMinute) / Time(RollUpMinute)), measure: v.measure, step: v.step, to: v.to}
	if v.measure.Distribution() {
		key.bin = int16(bin(int64(v.took)))
	}
	sum := r.sums[key]
	sum.add(int64(sign), sign, 0, uint64(v.took))
	if v.measure.Distribution() {
		r.noteSingle(&sum.singles, v.took, sign)
	}
	if sum == (rolledSum{}) {
		delete(r.sums, key)
		return
	}
	r.sums[key] = sum
}

// add adds a count and, by a sign, a sum.
func (s *rolledSum) add(count int64, sign int, hi int64, lo uint64) {
	s.count += count
	var carry uint64
	if sign > 0 {
		s.lo, carry = bits.Add64(s.lo, lo, 0)
		s.hi += hi + int64(carry)
	} else {
		s.lo, carry = bits.Sub64(s.lo, lo, 0)
		s.hi -= hi + int64(carry)
	}
}

// floorTo is the last multiple of a span up to t.
func floorTo(t Time, span time.Duration) Time {
	rest := t % Time(span)
	if rest < 0 {
		rest += Time(span)
	}
	return t - rest
}

// Take returns the differences, those of hours behind those of minutes and single durations
// behind both, each in order of time, and begins anew.
func (r *RollUps) Take() []RollUp {
	hours := map[rolledKey]rolledSum{}
	for key, sum := range r.sums {
		key.minute = int32(floorTo(Time(key.minute), 60) / 60)
		hour := hours[key]
		hour.add(sum.count, 1, sum.hi, sum.lo)
		hours[key] = hour
	}
	list := make([]RollUp, 0, len(r.sums)+len(hours))
	list = r.listed(list, r.sums, RollUpMinute)
	list = r.listed(list, hours, RollUpHour)
	list = r.listSingles(list)
	clear(r.sums)
	r.single = r.single[:0]
	return list
}

func (r *RollUps) listed(list []RollUp, sums map[rolledKey]rolledSum, span time.Duration) []RollUp {
	begin := len(list)
	for key, sum := range sums {
		if sum.count == 0 && sum.hi == 0 && sum.lo == 0 {
			continue
		}
		list = append(list, RollUp{
			Span: span, Start: Time(key.minute) * Time(span), Measure: key.measure, Step: r.id(key.step), To: r.id(key.to), Bin: key.bin,
			Count: sum.count, SumHi: sum.hi, SumLo: sum.lo,
		})
	}
	slices.SortFunc(list[begin:], compareRollUps)
	return list
}

// id is that of the step at a position, "" for none.
func (r *RollUps) id(step int16) string {
	if step < 0 {
		return ""
	}
	return r.flow.Steps[step].ID
}

func compareRollUps(a, b RollUp) int {
	return cmp.Or(
		cmp.Compare(a.Start, b.Start), cmp.Compare(a.Measure, b.Measure), cmp.Compare(a.Step, b.Step), cmp.Compare(a.To, b.To), cmp.Compare(a.Bin, b.Bin),
	)
}
