package flows

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// model computes what FLOWS.md sections 2, 3 and 5 say of an instance, word by word and
// minute by minute, slowly and without any part of the fold. All times are whole minutes
// and less than horizon.
type model struct {
	f       *Flow
	signals []Occurrence // in order
	now     Time
	hours   func(Time) bool // working time of every step with a calendar
	held    []bool          // by minute, once it was worked out
}

const horizon = 9000 * minute

func newModel(f *Flow, signals []Occurrence, now Time, hours func(Time) bool) *model {
	m := &model{f: f, signals: slices.Clone(signals), now: now, hours: hours}
	number := func(s string) int {
		if n, err := strconv.Atoi(s); err == nil {
			return n
		}
		return 1 << 30 // absent last
	}
	slices.SortFunc(m.signals, func(a, b Occurrence) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(number(a.Sequence), number(b.Sequence)), cmp.Compare(a.Step, b.Step),
			cmp.Compare(a.System, b.System), cmp.Compare(a.ID, b.ID))
	})
	return m
}

// before is the model of the first n signals.
func (m *model) before(n int) *model {
	return &model{f: m.f, signals: m.signals[:n], now: m.now, hours: m.hours}
}

func (m *model) expected(s int) int {
	n := 1
	if m.f.Steps[s].Each == "" {
		return n
	}
	for _, o := range m.signals {
		if i := slices.Index(m.f.Expects(), m.f.Steps[s].Expect); i >= 0 && o.Expect != nil && o.Expect[i] != "" {
			n, _ = strconv.Atoi(o.Expect[i])
		}
	}
	return n
}

// tries are the positions of the signals that make s occur; children those of the first
// signal of each child.
func (m *model) tries(s int) (all []int) {
	for i, o := range m.signals {
		if o.Step == s && !o.Failed {
			all = append(all, i)
		}
	}
	return all
}

func (m *model) children(s int) (firsts []int) {
	names := map[string]bool{}
	for _, i := range m.tries(s) {
		child := m.signals[i].Child
		if m.f.Steps[s].Each == "" {
			child = "itself"
		} else if child == "" {
			child = "own " + strconv.Itoa(i)
		}
		if !names[child] {
			firsts = append(firsts, i)
		}
		names[child] = true
	}
	return firsts
}

// completing is the position of the signal by which s occurred; -1 for none.
func (m *model) completing(s int) int {
	kids, need := m.children(s), max(1, m.expected(s))
	if len(kids) < need {
		return -1
	}
	return kids[need-1]
}

func (m *model) occurred(s int) bool { return m.completing(s) >= 0 }

func (m *model) t(s int) Time { return m.signals[m.completing(s)].At }

// end is the earliest end step that occurred; -1 for none.
func (m *model) end() int {
	end := -1
	for s := range m.f.Steps {
		if m.f.Steps[s].End != Open && m.occurred(s) && (end < 0 || m.completing(s) < m.completing(end)) {
			end = s
		}
	}
	return end
}

func (m *model) any(steps func(o int) bool) bool {
	for o := range m.f.Steps {
		if steps(o) && m.occurred(o) {
			return true
		}
	}
	return false
}

func (m *model) siblingOccurred(s int) bool {
	return m.any(func(o int) bool {
		return o != s && m.f.Steps[s].Choice != "" && m.f.Steps[o].Choice == m.f.Steps[s].Choice
	})
}

func (m *model) fellowOccurred(s int) bool {
	return m.any(func(o int) bool {
		return o != s && slices.ContainsFunc(m.f.Steps, func(x Step) bool { return x.Any && slices.Contains(x.After, s) && slices.Contains(x.After, o) })
	})
}

func (m *model) mayBeAbsent(s int) bool { return m.f.Steps[s].Optional || m.expected(s) == 0 }

func (m *model) required(s int) bool {
	end := m.end()
	other := m.f.Steps[s].End != Open && end >= 0 && m.f.Steps[end].End != m.f.Steps[s].End
	return !m.mayBeAbsent(s) && !m.siblingOccurred(s) && !m.fellowOccurred(s) && !other
}

func (m *model) downstream(s, of int) bool {
	return slices.ContainsFunc(m.f.Steps[s].After, func(p int) bool { return p == of || m.downstream(p, of) })
}

// passed is the earliest time at which a step downstream of s occurred; NoTime for none.
func (m *model) passed(s int) Time {
	first := NoTime
	for o := range m.f.Steps {
		if m.downstream(o, s) && m.occurred(o) && (first == NoTime || m.t(o) < first) {
			first = m.t(o)
		}
	}
	return first
}

func (m *model) skipped(s int) bool {
	completed := m.end() >= 0 && m.f.Steps[m.end()].End == Completed
	return m.required(s) && !m.occurred(s) && (m.passed(s) != NoTime || completed && len(m.f.Steps[s].After) > 0)
}

// dueAt is when the predecessors had occurred; NoTime where they have not.
func (m *model) dueAt(s int) Time {
	var times []Time
	for _, p := range m.f.Steps[s].After {
		switch {
		case m.occurred(p):
			times = append(times, m.t(p))
		case m.skipped(p) && m.passed(p) != NoTime:
			times = append(times, m.passed(p))
		case m.f.Steps[s].Any || m.mayBeAbsent(p):
		default:
			return NoTime
		}
	}
	switch {
	case len(times) == 0 || !m.occurred(s) && !m.skipped(s) && m.siblingOccurred(s):
		return NoTime
	case m.f.Steps[s].Any:
		return slices.Min(times)
	}
	return slices.Max(times)
}

func (m *model) due(s int) bool {
	return m.dueAt(s) != NoTime && !m.occurred(s) && !m.skipped(s) && m.expected(s) > 0
}

// inHold says whether a hold is open at an instant.
func (m *model) inHold(at Time) bool {
	for h, hold := range m.f.Holds {
		from, to := NoTime, NoTime // of the last opening
		for _, o := range m.signals {
			closed := from == NoTime || to != NoTime && o.At >= to
			switch {
			case o.Failed || o.At > at:
			case o.Step == len(m.f.Steps)+2*h && closed:
				if from, to = o.At, NoTime; hold.AtMost > 0 {
					to = o.At.Add(hold.AtMost)
				}
			case o.Step == len(m.f.Steps)+2*h+1 && !closed:
				to = o.At
			}
		}
		if from != NoTime && (to == NoTime || at < to) {
			return true
		}
	}
	return false
}

func (m *model) down(s int, at Time) bool {
	return slices.ContainsFunc(m.f.Steps[s].Downtime, func(v Interval) bool { return v.From <= at && at < v.To })
}

// awaitedDown says whether all that the instance must wait for is in planned downtime.
func (m *model) awaitedDown(at Time) bool {
	some := false
	for s := range m.f.Steps {
		if m.due(s) && !m.f.Steps[s].Optional {
			if !m.down(s, at) {
				return false
			}
			some = true
		}
	}
	return some
}

// reaches is the earliest time at which so much time that counts has passed since from.
func reaches(from Time, d time.Duration, counts func(Time) bool) Time {
	for at := from; at < horizon; at += minute {
		if d == 0 {
			return at
		}
		if counts(at) {
			d -= time.Minute
		}
	}
	return NoTime
}

func (m *model) deadline(s int) Time {
	step := &m.f.Steps[s]
	if m.dueAt(s) == NoTime || step.Within == 0 || m.mayBeAbsent(s) {
		return NoTime
	}
	held := m.heldMinutes()
	return reaches(m.dueAt(s), step.Within, func(at Time) bool {
		return !held[at/minute] && !m.down(s, at) && (step.Calendar == nil || m.hours(at))
	})
}

func (m *model) heldMinutes() []bool {
	if m.held == nil {
		m.held = make([]bool, horizon/minute)
		for i := range m.held {
			m.held[i] = len(m.f.Holds) > 0 && m.inHold(Time(i)*minute)
		}
	}
	return m.held
}

// own are the signals that count as the instance's: of steps and of holds.
func (m *model) own() (positions []int) {
	for i, o := range m.signals {
		if o.Step < len(m.f.Steps)+2*len(m.f.Holds) {
			positions = append(positions, i)
		}
	}
	return positions
}

// silent is when so much time that counts has passed since the last signal.
func (m *model) silent(d time.Duration) Time {
	own, held := m.own(), m.heldMinutes()
	return reaches(m.signals[own[len(own)-1]].At, d, func(at Time) bool { return !held[at/minute] && !m.awaitedDown(at) })
}

// verdict is the state, its reason and the step, and when it ended.
func (m *model) verdict() (state State, reason Reason, step int, since, ended Time) {
	if end := m.end(); end >= 0 {
		return m.f.Steps[end].End, "", -1, NoTime, m.t(end)
	}
	for _, o := range m.signals {
		if o.Step == len(m.f.Steps)+2*len(m.f.Holds) {
			return Resolved, "", -1, NoTime, o.At
		}
	}
	if m.f.Expire > 0 {
		if at := m.silent(m.f.Expire); at != NoTime && m.now > at {
			return Expired, "", -1, NoTime, at
		}
	}
	if m.inHold(m.now) || m.awaitedDown(m.now) {
		return Held, ReasonHeld, -1, NoTime, NoTime
	}
	step, since, ended = -1, NoTime, NoTime
	first := -1
	found := func(why Reason, s int, at Time, proved bool) { // what is proved goes before what is not
		is := Stuck
		if !proved {
			is, why = Unknown, ReasonSampled
		}
		if state == Open || is == Stuck && state == Unknown || is == state && at < since {
			state, reason, step, since = is, why, s, at
		}
	}
	for s := range m.f.Steps {
		if !m.due(s) {
			continue
		}
		if first < 0 {
			first = s
		}
		if at := m.deadline(s); at != NoTime && m.now > at && !m.down(s, m.now) {
			found(ReasonDeadline, s, at, !m.unproved(s))
		}
	}
	if m.f.Idle > 0 {
		if at := m.silent(m.f.Idle); at != NoTime && m.now > at {
			found(ReasonIdle, first, at, m.silenceProves())
		}
	}
	return state, reason, step, since, ended
}

// sampledAt is the first signal of a producer that samples, from which on the absence of a
// span proves nothing; NoTime for none, and where the flow has verdicts rest on it.
func (m *model) sampledAt() Time {
	for _, i := range m.own() {
		if m.signals[i].Sampled && !m.f.Sampling {
			return m.signals[i].At
		}
	}
	return NoTime
}

// unproved says that the absence of a step proves nothing: it is matched by spans, of a system
// that samples or once the instance has a sampled span.
func (m *model) unproved(s int) bool {
	return m.spanOnly(s) && !m.f.Sampling && (m.f.Steps[s].Sampled || m.sampledAt() != NoTime)
}

func (m *model) spanOnly(s int) bool { return m.f.Steps[s].Match.Kind == Span }

// silenceProves says whether something is awaited that would have been heard, or nothing is.
func (m *model) silenceProves() bool {
	var due, toCome []int
	for s := range m.f.Steps {
		if m.end() < 0 && m.due(s) && !m.f.Steps[s].Optional {
			due = append(due, s)
		}
		if m.required(s) && !m.occurred(s) && !m.skipped(s) {
			toCome = append(toCome, s)
		}
	}
	if len(due) == 0 {
		due = toCome
	}
	return len(due) == 0 || slices.ContainsFunc(due, func(s int) bool { return !m.unproved(s) })
}

// stuckFor counts the minutes in which something was overdue and not held, up to the
// signal that cleared it although that may be ahead of now.
func (m *model) stuckFor() (sum time.Duration) {
	_, _, _, _, ended := m.verdict()
	until := m.now
	if ended != NoTime {
		until = ended
	}
	stuck := make([]bool, horizon/minute)
	held := m.heldMinutes()
	for s := range m.f.Steps {
		limit, cleared := m.deadline(s), until
		unproved, from := m.unproved(s), m.sampledAt() // from the first sampled signal on, or always
		if m.f.Steps[s].Sampled {
			from = NoTime
		}
		if m.occurred(s) {
			cleared = m.t(s)
		} else if m.skipped(s) && m.passed(s) != NoTime {
			cleared = m.passed(s)
		} else if unproved {
			cleared = from
		}
		if unproved {
			cleared = min(cleared, from)
		}
		if ended != NoTime {
			cleared = min(cleared, ended)
		}
		for at := limit; limit != NoTime && at < cleared; at += minute {
			stuck[at/minute] = stuck[at/minute] || !held[at/minute] && !m.down(s, at)
		}
	}
	for n, i := range m.own() {
		next := until
		if n+1 < len(m.own()) {
			if next = m.signals[m.own()[n+1]].At; ended != NoTime {
				next = min(next, ended)
			}
		}
		then := m.before(i + 1)
		awaited := then.end() < 0
		if m.f.Idle == 0 || next <= m.signals[i].At || !then.silenceProves() {
			continue
		}
		counts := func(at Time) bool { return !held[at/minute] && !(awaited && then.awaitedDown(at)) }
		for at := reaches(m.signals[i].At, m.f.Idle, counts); at != NoTime && at < next; at += minute {
			stuck[at/minute] = stuck[at/minute] || counts(at)
		}
	}
	for _, is := range stuck {
		if is {
			sum += time.Minute
		}
	}
	return sum
}

// reopened says whether more came to be expected at the end step after it had occurred.
func (m *model) reopened() bool {
	had := false
	for n := range len(m.signals) + 1 {
		has := m.before(n).end() >= 0
		if had && !has {
			return true
		}
		had = has
	}
	return false
}

func (m *model) deviations() (list []Deviation) {
	end := m.end()
	found := map[Deviation]bool{}
	started, hasStart := false, false
	for s, step := range m.f.Steps {
		kids := len(m.children(s))
		found[DeviationSkipped] = found[DeviationSkipped] || m.skipped(s)
		found[DeviationOrder] = found[DeviationOrder] || m.occurred(s) && m.dueAt(s) > m.t(s)
		found[DeviationRepeat] = found[DeviationRepeat] || !step.Repeat && len(m.tries(s)) > kids
		found[DeviationSurplus] = found[DeviationSurplus] || step.Each != "" && kids > m.expected(s)
		hasStart = hasStart || step.Start
		started = started || step.Start && m.occurred(s)
	}
	for i, o := range m.signals {
		found[DeviationAfterEnd] = found[DeviationAfterEnd] || end >= 0 && i > m.completing(end) && o.Step < len(m.f.Steps)
	}
	found[DeviationNoStart] = hasStart && !started && end >= 0 && m.f.Steps[end].End == Completed
	for _, d := range []Deviation{DeviationSkipped, DeviationOrder, DeviationRepeat, DeviationSurplus, DeviationAfterEnd, DeviationNoStart} {
		if found[d] {
			list = append(list, d)
		}
	}
	return list
}
