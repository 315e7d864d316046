package flows

import (
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// draft is a step on its way from the file: with the places that later checks speak of.
type draft struct {
	Step
	idNode   *yaml.Node
	match    *yaml.Node
	after    []ref
	afterAll *yaml.Node // the whole value of `after`
	within   *yaml.Node
}

// ref is an id in `after`.
type ref struct {
	id   string
	node *yaml.Node
	step int // -1 where no step has the id
}

func (p *parser) flow(root *yaml.Node) *Flow {
	fields := p.fields(root, flowFields)
	for _, must := range []string{"flow", "key", "steps"} {
		if fields[must] == nil {
			p.fault(root, "`%s` is missing; write %s", must, map[string]string{
				"flow":  "the flow's name, as `flow: order-to-cash`",
				"key":   "the attribute that tells one case from another, as `key: order_id`",
				"steps": "at least one step, as `steps: [{id: placed, match: {event: order.placed}}]`",
			}[must])
		}
	}
	keyType := func(n *yaml.Node, field string) string { return p.word(n, field, keyTypePattern, "order_id") }
	f := &Flow{
		Name:       p.word(fields["flow"], "flow", flowNamePattern, "order-to-cash"),
		Title:      p.str(fields["title"], "title"),
		Capability: p.str(fields["capability"], "capability"),
		Owner:      p.str(fields["owner"], "owner"),
		Runbook:    p.web(fields["runbook"], "runbook"),
		Key:        keyType(fields["key"], "key"),
		Links:      p.words(fields["links"], "links", keyType),
		Segments:   p.words(fields["segments"], "segments", p.str),
		Idle:       p.duration(fields["idle"], "idle"),
		Expire:     p.duration(fields["expire"], "expire"),
		Reopen:     p.reopen(fields["reopen"]),
	}
	if f.Title == "" {
		f.Title = f.Name
	}
	for i, link := range f.Links {
		if link == f.Key {
			p.fault(fields["links"].Content[i], "`%s` is the key; leave it out of `links`", link)
		}
	}
	p.value(fields["value"], f)
	f.Sampling = p.sampling(fields["sampling"])
	p.objectives(fields["objectives"])
	p.holds(fields["holds"], f)
	p.steps(fields["steps"], f)
	p.cases(fields["cases"], f)
	if n := fields["reopen"]; f.Reopen && len(f.Steps) > 0 && !f.reopens() {
		p.fault(n, "`reopen: new` needs a step with `start: true`, which begins the new instance, and one with `end`; "+
			"write them, or leave `reopen` out")
	}
	return f
}

func (p *parser) reopen(n *yaml.Node) bool {
	word := p.str(n, "reopen")
	if word != "" && word != "new" {
		p.fault(n, "`reopen` cannot be `%s`; write `new`, or leave it out to keep later signals in the ended instance", shortened(word))
	}
	return word == "new"
}

// reopens says whether the flow has what reopening needs.
func (f *Flow) reopens() bool {
	return slices.ContainsFunc(f.Steps, func(s Step) bool { return s.Start }) &&
		slices.ContainsFunc(f.Steps, func(s Step) bool { return s.End != Open })
}

func (p *parser) value(n *yaml.Node, f *Flow) {
	if n == nil {
		return
	}
	if n.Kind != yaml.MappingNode {
		p.fault(n, "`value` must name two attributes, as {amount: order.total, currency: order.currency}")
		return
	}
	fields := p.fields(n, valueFields)
	f.Amount, f.Currency = p.str(fields["amount"], "amount"), p.str(fields["currency"], "currency")
	for _, must := range valueFields {
		if fields[must] == nil {
			p.fault(n, "`value` lacks `%s`; write {amount: order.total, currency: order.currency}", must)
		}
	}
}

func (p *parser) steps(n *yaml.Node, f *Flow) {
	switch {
	case n == nil:
		return
	case n.Kind != yaml.SequenceNode || len(n.Content) == 0:
		p.fault(n, "`steps` must be a list of at least one step, as [{id: placed, match: {event: order.placed}}]")
		return
	case len(n.Content) > MaxSteps:
		p.fault(n.Content[MaxSteps], "%d steps; at most %d are taken; split the flow", len(n.Content), MaxSteps)
		return
	}
	drafts := make([]draft, len(n.Content))
	for i, step := range n.Content {
		drafts[i] = p.step(step)
	}
	p.check(drafts)
	f.Steps = make([]Step, len(drafts))
	for i := range drafts {
		f.Steps[i] = drafts[i].Step
	}
}

func (p *parser) step(n *yaml.Node) draft {
	d := draft{idNode: n}
	if n.Kind != yaml.MappingNode {
		p.fault(n, "a step must be a mapping, as {id: placed, match: {event: order.placed}}")
		return d
	}
	fields := p.fields(n, stepFields)
	if id := fields["id"]; id != nil {
		d.idNode = id
	} else {
		p.fault(n, "the step has no `id`; write one, as `id: placed`")
	}
	d.Step = Step{
		ID:       p.word(fields["id"], "id", stepIDPattern, "order-placed"),
		Title:    p.str(fields["title"], "title"),
		System:   p.str(fields["system"], "system"),
		Choice:   p.str(fields["choice"], "choice"),
		Each:     p.str(fields["each"], "each"),
		Expect:   p.str(fields["expect"], "expect"),
		Optional: p.yes(fields["optional"], "optional"),
		Repeat:   p.yes(fields["repeat"], "repeat"),
		Start:    p.yes(fields["start"], "start"),
		End:      p.end(fields["end"]),
	}
	if d.Title == "" {
		d.Title = d.ID
	}
	p.within(fields["within"], &d)
	if d.Each == "" && fields["expect"] != nil && fields["each"] == nil {
		p.fault(fields["expect"], "`expect` says how many children are due, so it needs `each`; write the attribute that tells them apart, "+
			"as `each: shipment_id`")
	}
	if system := p.refs.Systems[d.System]; system != nil {
		d.Downtime, d.Sampled = system.Downtime, system.Sampled
	}
	p.after(fields["after"], &d)
	if d.match = fields["match"]; d.match == nil {
		p.fault(n, "step `%s` has no `match`; write {event: NAME} or {span: NAME}", d.ID)
	} else {
		p.match(d.match, &d)
	}
	return d
}

func (p *parser) end(n *yaml.Node) State {
	word := p.str(n, "end")
	switch word {
	case "":
		return Open
	case Completed.String():
		return Completed
	case Failed.String():
		return Failed
	case Cancelled.String():
		return Cancelled
	}
	p.fault(n, "`end` cannot be `%s`; write one of %s%s", shortened(word), quoted(endWords), didYouMean(word, endWords))
	return Open
}

// after reads one id, a list, or {any: [...]}.
func (p *parser) after(n *yaml.Node, d *draft) {
	if n == nil {
		return
	}
	d.afterAll = n
	list := n
	switch n.Kind {
	case yaml.MappingNode:
		list = p.fields(n, []string{"any"})["any"]
		if d.Any = true; list == nil || list.Kind != yaml.SequenceNode {
			p.fault(n, "`after` must be an id, a list of ids or {any: [a, b]}")
			return
		}
	case yaml.SequenceNode:
	default:
		list = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
	}
	if len(list.Content) == 0 {
		p.fault(n, "`after` is empty; leave it out for a step that may come at any time")
	}
	seen := make(map[string]bool, len(list.Content))
	for _, e := range list.Content {
		id := p.str(e, "after")
		switch {
		case id == "":
		case seen[id]:
			p.fault(e, "`%s` stands twice in `after`; keep one", shortened(id))
		default:
			seen[id] = true
			d.after = append(d.after, ref{id: id, node: e, step: -1})
		}
	}
}

func (p *parser) match(n *yaml.Node, d *draft) {
	p.matchInto(n, "match", &d.Match)
}

// matchInto reads what signals are meant; field is where it stands.
func (p *parser) matchInto(n *yaml.Node, field string, m *Match) {
	if n.Kind != yaml.MappingNode {
		p.fault(n, "`%s` must be a mapping; write {event: NAME} or {span: NAME}", field)
		return
	}
	fields := p.fields(n, matchFields)
	event, span := fields["event"], fields["span"]
	switch {
	case event != nil && span != nil:
		p.fault(span, "`%s` names an event and a span; keep one", field)
	case event != nil:
		m.Kind, m.Name = Event, p.str(event, "event")
	case span != nil:
		m.Kind, m.Name = Span, p.str(span, "span")
	default:
		p.fault(n, "`%s` names no signal; write {event: NAME} or {span: NAME}", field)
	}
	m.Service, m.Source = p.str(fields["service"], "service"), p.str(fields["source"], "source")
	if kind := p.str(fields["kind"], "kind"); kind != "" && kind != m.Kind.String() {
		p.fault(fields["kind"], "`kind` cannot be `%s`; this matches the kind `%s`, so write that or leave it out",
			shortened(kind), m.Kind)
	}
	m.Where = p.where(fields["where"])
}

func (p *parser) where(n *yaml.Node) *Where {
	source := p.str(n, "where")
	if source == "" {
		return nil
	}
	w, err := compileWhere(source)
	if err == nil {
		return w
	}
	var at *whereError
	line, col := n.Line, n.Column
	if quote := n.Style & (yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle); errors.As(err, &at) && at.line == 1 &&
		n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		if col += at.col - 1; quote != 0 {
			col++
		}
	}
	p.at(line, col, "%s", err)
	return nil
}

// within reads a duration, or working time as {business: 8h, calendar: C}.
func (p *parser) within(n *yaml.Node, d *draft) {
	d.within = n
	if n != nil && n.Kind == yaml.ScalarNode && strings.TrimSpace(n.Value) == learned {
		p.note(n, learned, "is taken, but no deadline is learned yet: the step is waited for and never overdue")
		return
	}
	if n == nil || n.Kind != yaml.MappingNode {
		d.Within = p.duration(n, "within")
		return
	}
	fields := p.fields(n, []string{"business", "calendar"})
	for _, must := range []string{"business", "calendar"} {
		if fields[must] == nil {
			p.fault(n, "`within` lacks `%s`; write {business: 8h, calendar: NAME}, or one duration such as 15m", must)
		}
	}
	d.Within = p.duration(fields["business"], "business")
	if name := p.str(fields["calendar"], "calendar"); name != "" {
		d.Calendar = p.knownCalendar(fields["calendar"], name)
	}
}

// maxHolds bounds the holds of a flow, each of which is followed in every fold.
const maxHolds = 100

func (p *parser) holds(n *yaml.Node, f *Flow) {
	switch {
	case n == nil:
		return
	case n.Kind != yaml.SequenceNode || len(n.Content) == 0:
		p.fault(n, "`holds` must be a list, as [{id: on-hold, from: {event: order.held}, until: {event: order.released}}]")
		return
	case len(n.Content) > maxHolds:
		p.fault(n.Content[maxHolds], "%d holds; at most %d are taken", len(n.Content), maxHolds)
		return
	}
	line := map[string]int{}
	for _, e := range n.Content {
		h, at := p.hold(e)
		if first := line[h.ID]; first > 0 {
			p.fault(at, "hold `%s` stands twice, first in line %d; give this one another id", h.ID, first)
		} else if h.ID != "" {
			line[h.ID] = at.Line
		}
		f.Holds = append(f.Holds, h)
	}
}

func (p *parser) hold(n *yaml.Node) (h Hold, at *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.fault(n, "a hold must be a mapping, as {id: on-hold, from: {event: order.held}, until: {event: order.released}}")
		return h, n
	}
	fields := p.fields(n, holdFields)
	if at = fields["id"]; at == nil {
		at = n
		p.fault(n, "the hold has no `id`; write one, as `id: on-hold`")
	}
	h = Hold{ID: p.word(fields["id"], "id", stepIDPattern, "on-hold"), AtMost: p.duration(fields["at_most"], "at_most")}
	if from := fields["from"]; from == nil {
		p.fault(n, "hold `%s` has no `from`; write the signal that begins it, as from: {event: order.held}", h.ID)
	} else {
		p.matchInto(from, "from", &h.From)
	}
	switch until := fields["until"]; {
	case until != nil:
		p.matchInto(until, "until", &h.Until)
		if h.Until.Name != "" && h.From.signal() == h.Until.signal() {
			p.fault(until, "`from` and `until` of hold `%s` match the same signal; add `where`, `service` or `source` to one of them", h.ID)
		}
	case fields["at_most"] == nil:
		p.fault(n, "hold `%s` would never end; write `until`, `at_most`, or both", h.ID)
	}
	return h, at
}
