package flows

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Case is a test that a flow file brings along: signals, and what must be known of their
// instances at some instants.
type Case struct {
	Name    string
	Line    int
	Start   Time // what "+15m" counts from
	Signals []CaseSignal
	Expect  []Expectation
}

// CaseSignal is a signal of a case, without keys.
type CaseSignal struct {
	Signal  Signal
	Arrives Time // when it is heard of
}

// Expectation is what must be known of one instance at one instant. What was not written
// is nil and may be anything.
type Expectation struct {
	Line       int
	At         Time   // NoTime: the greatest time of the case's signals
	Key        string // "" where the case has one instance
	Absent     bool   // no such instance
	State      *State
	Reason     *Reason
	Step       *string // of the reason
	WaitingOn  *[]string
	Path       *[]string
	Deviations *[]Deviation
	Conforming *bool
	Recovered  *bool
	Reopened   *bool
}

var (
	caseFields       = []string{"name", "start", "signals", "expect"}
	caseSignalFields = []string{
		"event", "span", "at", "arrives", "source", "service", "system", "id", "sequence", "outcome", "duration", "sampled", "data", "attributes",
	}
	expectFields = []string{
		"at", "key", "absent", "state", "reason", "step", "waiting_on", "path", "deviations", "conforming", "recovered_late", "reopened",
	}
	reasonWords = []Reason{ReasonDeadline, ReasonIdle, ReasonHeld, ReasonSampled}

	// caseStart is a Monday morning.
	caseStart = At(time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC))
)

func (p *parser) cases(n *yaml.Node, f *Flow) {
	if n == nil {
		return
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.fault(n, "`cases` must be a list, as [{name: paid late, signals: [...], expect: [...]}]")
		return
	}
	line := map[string]int{}
	for _, e := range n.Content {
		c := p.oneCase(e, f)
		if first := line[c.Name]; first > 0 && c.Name != "" {
			p.fault(e, "case `%s` stands twice, first in line %d; give this one another name", c.Name, first)
		}
		line[c.Name] = e.Line
		f.Cases = append(f.Cases, c)
	}
}

func (p *parser) oneCase(n *yaml.Node, f *Flow) Case {
	c := Case{Line: n.Line, Start: caseStart}
	if n.Kind != yaml.MappingNode {
		p.fault(n, "a case must be a mapping, as {name: paid late, signals: [...], expect: [...]}")
		return c
	}
	fields := p.fields(n, caseFields)
	for _, must := range []string{"name", "signals", "expect"} {
		if fields[must] == nil {
			p.fault(n, "the case has no `%s`; write {name: paid late, signals: [...], expect: [...]}", must)
		}
	}
	c.Name = p.str(fields["name"], "name")
	if start := fields["start"]; start != nil {
		c.Start = p.instant(start, "start")
	}
	for i, e := range p.list(fields["signals"], "signals", "[{event: order.placed, at: +0s}]") {
		c.Signals = append(c.Signals, p.caseSignal(e, i, c.Start))
	}
	for _, e := range p.list(fields["expect"], "expect", "[{at: +1h, state: stuck}]") {
		c.Expect = append(c.Expect, p.expectation(e, f, c.Start))
	}
	return c
}

func (p *parser) list(n *yaml.Node, field, example string) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.fault(n, "`%s` must be a list, as %s", field, example)
		return nil
	}
	return n.Content
}

// moment reads an instant, or "+15m" after the case's start.
func (p *parser) moment(n *yaml.Node, field string, start Time) Time {
	text := p.str(n, field)
	after, relative := strings.CutPrefix(text, "+")
	switch {
	case text == "":
		return start
	case !relative:
		if _, err := ParseDuration(text); err == nil {
			p.fault(n, "`%s` cannot be `%s`; write `+%s` to count from the start of the case, or an instant with its zone", field, shortened(text), text)
			return start
		}
		return p.instant(n, field)
	}
	d, err := ParseDuration(after)
	if err != nil {
		p.fault(n, "`%s`: %s", field, err)
	}
	return start.Add(d)
}

func (p *parser) caseSignal(n *yaml.Node, number int, start Time) (s CaseSignal) {
	if n.Kind != yaml.MappingNode {
		p.fault(n, "a signal must be a mapping, as {event: order.placed, at: +0s, data: {order_id: A}}")
		return s
	}
	fields := p.fields(n, caseSignalFields)
	s.Signal = Signal{Source: "test", ID: fmt.Sprintf("signal-%d", number+1), Time: p.moment(fields["at"], "at", start)}
	event, span := fields["event"], fields["span"]
	switch {
	case event != nil && span == nil:
		s.Signal.Name = p.str(event, "event")
	case span != nil && event == nil:
		s.Signal.Kind, s.Signal.Name = Span, p.str(span, "span")
	default:
		p.fault(n, "a signal is one event or one span; write {event: NAME} or {span: NAME}")
	}
	for _, field := range []struct {
		name string
		to   *string
	}{
		{"source", &s.Signal.Source}, {"service", &s.Signal.Source}, {"id", &s.Signal.ID}, {"sequence", &s.Signal.Sequence},
	} {
		if v := p.str(fields[field.name], field.name); v != "" {
			*field.to = v
		}
	}
	if s.Signal.System = p.str(fields["system"], "system"); s.Signal.System == "" {
		s.Signal.System = s.Signal.Source
	}
	if d := fields["duration"]; d != nil {
		s.Signal.Duration = p.duration(d, "duration")
	}
	switch outcome := p.str(fields["outcome"], "outcome"); outcome {
	case "", "ok":
	case "error":
		s.Signal.Failed = true
	default:
		p.fault(fields["outcome"], "`outcome` cannot be `%s`; write ok or error", shortened(outcome))
	}
	if n := fields["sampled"]; n != nil {
		if s.Signal.Sampled = p.yes(n, "sampled"); s.Signal.Sampled && s.Signal.Kind == Event {
			p.fault(n, "an event is never sampled; write `sampled` of a span only")
		}
	}
	s.Signal.Data, s.Signal.Attributes = p.object(fields["data"], "data"), p.object(fields["attributes"], "attributes")
	s.Arrives = s.Signal.OccursAt()
	if arrives := fields["arrives"]; arrives != nil {
		s.Arrives = p.moment(arrives, "arrives", start)
	}
	s.Signal.Received = s.Arrives
	return s
}

// object reads a mapping as JSON would carry it.
func (p *parser) object(n *yaml.Node, field string) map[string]any {
	if n == nil {
		return nil
	}
	var v map[string]any
	err := n.Decode(&v)
	var b []byte
	if err == nil {
		b, err = json.Marshal(v)
	}
	if err == nil {
		v, err = DecodeObject(b)
	}
	switch {
	case n.Kind != yaml.MappingNode:
		p.fault(n, "`%s` must be a mapping of names to values, as {order_id: A, order.total: 10}", field)
		return nil
	case err != nil:
		what, _, _ := strings.Cut(err.Error(), "\n")
		p.fault(n, "`%s` cannot be read as a signal's: %s", field, shortened(what))
		return nil
	}
	return v
}

func (p *parser) expectation(n *yaml.Node, f *Flow, start Time) Expectation {
	e := Expectation{Line: n.Line, At: NoTime}
	if n.Kind != yaml.MappingNode {
		p.fault(n, "an expectation must be a mapping, as {at: +1h, state: stuck, step: paid}")
		return e
	}
	fields := p.fields(n, expectFields)
	if at := fields["at"]; at != nil {
		e.At = p.moment(at, "at", start)
	}
	e.Key, e.Absent = p.str(fields["key"], "key"), p.yes(fields["absent"], "absent")
	said := len(fields)
	for _, where := range []string{"at", "key"} {
		if fields[where] != nil {
			said--
		}
	}
	if said == 0 {
		p.fault(n, "nothing is expected; write what, as {at: +1h, state: stuck}, one of %s", quoted(expectFields[2:]))
	}
	p.expectState(fields, &e)
	ids := make([]string, len(f.Steps))
	for i := range f.Steps {
		ids[i] = f.Steps[i].ID
	}
	if step := fields["step"]; step != nil {
		e.Step = new(p.among(step, "step", ids))
	}
	e.WaitingOn, e.Path = p.idList(fields["waiting_on"], "waiting_on", ids), p.idList(fields["path"], "path", ids)
	for _, field := range []struct {
		name string
		to   **bool
	}{
		{"conforming", &e.Conforming}, {"recovered_late", &e.Recovered}, {"reopened", &e.Reopened},
	} {
		if fields[field.name] != nil {
			*field.to = new(p.yes(fields[field.name], field.name))
		}
	}
	return e
}

func (p *parser) expectState(fields map[string]*yaml.Node, e *Expectation) {
	if n := fields["state"]; n != nil {
		state, _ := ParseState(p.among(n, "state", StateNames()))
		e.State = &state
	}
	if n := fields["reason"]; n != nil {
		e.Reason = new(Reason(p.among(n, "reason", texts(reasonWords))))
	}
	if list := p.idList(fields["deviations"], "deviations", texts(allDeviations[:])); list != nil {
		e.Deviations = new([]Deviation)
		for _, word := range *list {
			*e.Deviations = append(*e.Deviations, Deviation(word))
		}
	}
}

func texts[T ~string](words []T) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = string(w)
	}
	return list
}

// among is a field that is one of some words.
func (p *parser) among(n *yaml.Node, field string, words []string) string {
	word := p.str(n, field)
	if word != "" && !slices.Contains(words, word) {
		p.fault(n, "`%s` cannot be `%s`%s; write one of %s", field, shortened(word), didYouMean(word, words), someOf(words))
	}
	return word
}

// idList is a list, perhaps empty, of some words; nil where it is not there.
func (p *parser) idList(n *yaml.Node, field string, words []string) *[]string {
	if n == nil {
		return nil
	}
	list := []string{}
	if n.Kind != yaml.SequenceNode {
		p.fault(n, "`%s` must be a list, as [a, b], or [] for none", field)
	}
	for _, e := range n.Content {
		list = append(list, p.among(e, field, words))
	}
	return &list
}
