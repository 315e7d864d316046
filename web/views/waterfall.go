package views

import (
	"slices"
	"strings"
	"time"

	"throughline/flows"
)

// mark is how a row is drawn along time.
type mark int

const (
	markNone mark = iota
	markEvent
	markSpan
	markWait
	markTries
)

// waterfall is a timeline over systems, ready to be written.
type waterfall struct {
	rows   []wfRow
	ticks  []wfTick
	now    float64 // place of now; 1 or more where it is not shown
	more   int     // signals that have no row
	footer string
}

type wfTick struct {
	x    float64
	text string
}

type wfRow struct {
	class        string // sel, unreached
	system       string
	title, name  string // name is the signal's where the title is the step's
	at, took     string
	mark         mark
	tone         string // err, stuck
	x, w         float64
	limit        float64   // place of the deadline; 0 for none
	tries        []float64 // places of failed tries
	label, about string
	short        string // of the label, where there is one
}

// mostRows bounds a timeline; the list of signals holds all of them.
const mostRows = 200

// scale maps instants to places from 0 to 1.
type scale struct {
	from flows.Time
	span time.Duration
}

func (s scale) place(t flows.Time) float64 {
	return float64(t.Sub(s.from)) / float64(s.span)
}

func (v InstanceTimeline) waterfall() waterfall {
	d := v.Detail
	s, open := v.scale(), d.State.InFlight()
	w := waterfall{now: 2}
	if open {
		w.now = s.place(v.now())
	}
	tries := v.tries()
	heard := d.StartedAt // the latest end of what was drawn
	for i, signal := range d.Signals {
		if i == mostRows {
			w.more = len(d.Signals) - mostRows
			break
		}
		step := v.stepIDOf(signal)
		group := tries[step]
		if gap, ok := v.gapRow(s, heard, signal); ok && (!signal.Failed || len(group) < 2) {
			w.rows = append(w.rows, gap)
		}
		heard = max(heard, signal.Time, signal.OccursAt())
		switch {
		case !signal.Failed || len(group) < 2:
			w.rows = append(w.rows, v.signalRow(s, signal))
		case signal.ID == group[0].ID && !v.waitsFor(step):
			w.rows = append(w.rows, v.triesRow(s, group))
		}
	}
	held := d.Held
	if open {
		held = slices.Concat(held, v.downtimes())
	}
	for _, held := range held {
		w.rows = append(w.rows, v.heldRow(s, held))
	}
	for _, waiting := range d.WaitingOn {
		row := v.waitingRow(s, waiting)
		group := tries[waiting.Step]
		for _, try := range group {
			row.tries = append(row.tries, s.place(try.Time))
		}
		w.rows = append(w.rows, row)
		if len(group) > 1 {
			said := v.triesRow(s, group)
			said.mark, said.tries, said.w = markNone, nil, 0 // the ticks stand in the wait
			said.x = max(0, min(said.x, 1-labelRoom(said.label)))
			w.rows = append(w.rows, said)
		}
	}
	if open {
		w.rows = append(w.rows, v.unreachedRows()...)
	}
	w.ticks = v.axis(s)
	w.footer = v.footer(s)
	return w
}

// tries are the failed signals of each step, in order.
func (v InstanceTimeline) tries() map[string][]flows.Signal {
	list := map[string][]flows.Signal{}
	for i, signal := range v.Detail.Signals {
		if i == mostRows {
			break
		}
		if step := v.stepIDOf(signal); signal.Failed && step != "" {
			list[step] = append(list[step], signal)
		}
	}
	return list
}

func (v InstanceTimeline) waitsFor(step string) bool {
	return slices.ContainsFunc(v.Detail.WaitingOn, func(w flows.WaitingRecord) bool { return w.Step == step })
}

// scale covers all signals and, while the instance is in flight, now, with some room at both
// ends.
func (v InstanceTimeline) scale() scale {
	d := v.Detail
	from, to := d.StartedAt, max(d.LastAt, d.EndedAt)
	if !known(from) {
		from = v.now()
	}
	for _, s := range d.Signals {
		from, to = min(from, s.Time), max(to, s.OccursAt())
	}
	if d.State.InFlight() {
		to = max(to, v.now())
	}
	span := max(to.Sub(from), time.Second)
	const room = 0.03
	return scale{from.Add(-time.Duration(room * float64(span))), time.Duration((1 + 2*room) * float64(span))}
}

func (v InstanceTimeline) signalRow(s scale, signal flows.Signal) wfRow {
	r := wfRow{
		system: signal.System, title: signal.Name, at: v.fine(signal.Time), took: "event",
		mark: markEvent, x: s.place(signal.Time), label: v.signalLabel(signal),
	}
	if step := v.stepOf(signal); step != "" && step != signal.Name {
		r.title, r.name = step, signal.Name
	}
	if signal.Kind == flows.Span {
		r.mark, r.took, r.w = markSpan, exact(signal.Duration), float64(signal.Duration)/float64(s.span)
	}
	if signal.Failed {
		r.tone = "err"
	}
	r.late(v, s, signal)
	r.about = strings.Join(nonEmpty(r.title, r.name, signal.System, "at "+r.at, r.took, r.label), ", ")
	return r
}

// stepOf is the title of the step that the signal is; "" for none.
func (v InstanceTimeline) stepOf(signal flows.Signal) string {
	id := v.stepIDOf(signal)
	if id == "" {
		return ""
	}
	if i := stepIndex(v.Flow, id); i >= 0 && v.Flow.Steps[i].Title != "" {
		return v.Flow.Steps[i].Title
	}
	return id
}

// stepIDOf is the step that the signal is, by name and time; "" for none.
func (v InstanceTimeline) stepIDOf(signal flows.Signal) string {
	if v.Flow == nil {
		return ""
	}
	id := ""
	for i := range v.Flow.Steps {
		step := &v.Flow.Steps[i]
		if step.Match.Kind != signal.Kind || step.Match.Name != signal.Name {
			continue
		}
		for _, rec := range v.Detail.Steps {
			if rec.Step == step.ID && known(rec.At) && rec.At == signal.OccursAt() {
				return step.ID
			}
		}
		if id == "" {
			id = step.ID
		}
	}
	return id
}

// said is what a failed signal gives as its reason; "" for nothing.
func (v InstanceTimeline) said(signal flows.Signal) string {
	if text := v.Said[signal.ID]; text != "" {
		return text
	}
	for _, name := range []string{"exception.message", "error.message", "error.type", "http.response.status_code"} {
		if value, ok := signal.Lookup(name); ok {
			if text, ok := flows.Text(value); ok {
				return text
			}
		}
	}
	return ""
}

// late marks the deadline where the step came after it.
func (r *wfRow) late(v InstanceTimeline, s scale, signal flows.Signal) {
	for _, rec := range v.Detail.Steps {
		if known(rec.Deadline) && known(rec.At) && rec.At == signal.OccursAt() && rec.At > rec.Deadline && rec.Step == v.stepIDOf(signal) {
			r.limit = s.place(rec.Deadline)
			r.label = strings.Join(nonEmpty(waited(rec.At.Sub(rec.Deadline))+" after its limit", r.label), ", ")
		}
	}
}

// signalLabel says what went wrong, or which other keys the signal brought.
func (v InstanceTimeline) signalLabel(signal flows.Signal) string {
	var parts []string
	if signal.Failed {
		parts = append(parts, nonEmpty("failed", v.said(signal))...)
	}
	for _, k := range signal.Keys {
		if k.Type != v.keyType() && k.Value != v.Detail.Key {
			parts = append(parts, k.Value)
		}
	}
	return cut(strings.Join(parts, ", "), 48)
}

func (v InstanceTimeline) waitingRow(s scale, w flows.WaitingRecord) wfRow {
	now := v.now()
	r := wfRow{
		system: w.System, title: v.title(w.Step), at: v.fine(w.DueAt), took: waited(now.Sub(w.DueAt)),
		mark: markWait, x: s.place(w.DueAt), w: s.place(now) - s.place(w.DueAt), label: "",
	}
	r.about = r.title + ", waited for since " + r.at
	if w.Deadline == flows.NoTime {
		return r
	}
	r.limit = s.place(w.Deadline)
	if now > w.Deadline {
		if v.Detail.State != flows.Unknown && v.Detail.State != flows.Held {
			r.class, r.tone = "sel", "stuck"
		}
		r.about += ", limit passed at " + v.at(w.Deadline)
		return r
	}
	r.about += ", limit " + v.at(w.Deadline)
	r.label = "limit " + v.at(w.Deadline)
	return r
}

// unreachedRows are the steps that are still to come.
func (v InstanceTimeline) unreachedRows() []wfRow {
	if v.Flow == nil {
		return nil
	}
	waiting := make(map[string]bool)
	for _, w := range v.Detail.WaitingOn {
		waiting[w.Step] = true
	}
	var rows []wfRow
	for _, rec := range v.Detail.Steps {
		i := stepIndex(v.Flow, rec.Step)
		if i < 0 || known(rec.At) || waiting[rec.Step] || rec.Skipped || len(v.Flow.Steps[i].After) == 0 || v.notNeeded(i) {
			continue
		}
		rows = append(rows, wfRow{class: "unreached", system: rec.System, title: titleOf(rec), took: "not reached", about: titleOf(rec) + ", not reached"})
	}
	return rows
}

// notNeeded says that the instance goes on without the step: it is optional, or another one of
// its choice occurred.
func (v InstanceTimeline) notNeeded(step int) bool {
	s := &v.Flow.Steps[step]
	if s.Optional || s.Choice == "" {
		return s.Optional
	}
	return slices.ContainsFunc(v.Detail.Steps, func(rec flows.StepRecord) bool {
		i := stepIndex(v.Flow, rec.Step)
		return i >= 0 && known(rec.At) && v.Flow.Steps[i].Choice == s.Choice
	})
}

func stepIndex(f *flows.Flow, id string) int {
	for i := range f.Steps {
		if f.Steps[i].ID == id {
			return i
		}
	}
	return -1
}

// axis names the instants at which the track's lines stand.
func (v InstanceTimeline) axis(s scale) []wfTick {
	layout := "15:04"
	switch {
	case s.span < 5*time.Second:
		layout = "15:04:05.0"
	case s.span < 5*time.Minute:
		layout = "15:04:05"
	case s.span > 300*24*time.Hour:
		layout = "Jan 2006"
	case s.span > 36*time.Hour:
		layout = "2 Jan"
	}
	var ticks []wfTick
	for _, at := range []float64{1, 3, 5} {
		x := at / 7
		t := s.from.Add(time.Duration(x * float64(s.span)))
		ticks = append(ticks, wfTick{x, v.local(t).Format(layout)})
	}
	return ticks
}

// footer says from when to when, in which zone.
func (v InstanceTimeline) footer(s scale) string {
	d := v.Detail
	text := v.day(d.StartedAt) + ", " + v.local(d.StartedAt).Format("15:04:05") + " to "
	end, state := d.EndedAt, "took "
	if d.State.InFlight() {
		end, state = v.now(), "open for "
	}
	if !known(end) {
		end = d.LastAt
	}
	if v.day(end) != v.day(d.StartedAt) {
		text += v.day(end) + ", "
	}
	return text + v.local(end).Format("15:04:05") + nb + v.ZoneName() + ". " + strings.ToUpper(state[:1]) + state[1:] + exact(end.Sub(d.StartedAt)) + "."
}
