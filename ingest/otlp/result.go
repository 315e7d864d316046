package otlp

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"throughline/flows"
	"throughline/ingest"
)

// mapper turns records into a batch under one set of rules, received at one time. grow is
// asked before memory is taken for another one.
type mapper struct {
	rules    ingest.Rules
	received flows.Time
	grow     func(n int) error
}

// result is what one request holds: a batch to publish, and what of it is rejected.
type result struct {
	mapper
	batch    flows.Batch
	rejected ingest.Rejected
	faults   []string // the first few that differ
	items    int      // accepted and rejected
	group    group
	spans    *flows.SpanPacker // becomes batch.Spans
}

// packers keep the memory of their columns, half a megabyte for a usual request.
var packers = sync.Pool{New: func() any { return new(flows.SpanPacker) }}

func (m mapper) newResult() *result {
	return &result{mapper: m, rejected: ingest.Rejected{}, spans: packers.Get().(*flows.SpanPacker)}
}

// free gives up the batch, which is published or refused.
func (r *result) free() {
	r.batch = flows.Batch{}
	r.spans.Reset()
	packers.Put(r.spans)
	r.spans = nil
}

// reject counts a span or record that cannot be used.
func (r *result) reject(err error) {
	const most = 5 // sentences in an answer; the counter has them all
	reason := ingest.ReasonKey
	if f, ok := errors.AsType[*ingest.Fault](err); ok {
		reason = f.Reason
	}
	r.rejected[reason]++
	if len(r.faults) < most && !slices.Contains(r.faults, err.Error()) {
		r.faults = append(r.faults, err.Error())
	}
}

// message says what was rejected and why; "" for nothing.
func (r *result) message(what string) string {
	n := r.rejected.Total()
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s rejected: %s", n, what, strings.Join(r.faults, "; "))
}

// count bounds the items of a request, and the memory for one with so many attributes. Its
// error refuses the request.
func (r *result) count(attributes int) error {
	if r.items++; r.items > ingest.MaxSignals {
		return ingest.Refuse(ingest.TooLarge, fmt.Sprintf("more than %d spans or log records; send smaller batches", ingest.MaxSignals))
	}
	return r.grow(ingest.SignalCost + ingest.AttributeCost*attributes)
}

// group is what of a request's spans came last: their resource and scope.
type group struct {
	res    *resource
	scope  scope
	origin *flows.SpanOrigin
	fault  error
	keyed  bool // by an attribute of the resource
}

func (r *result) enter(res *resource, sc scope) *group {
	g := &r.group
	if g.res != res || g.scope != sc {
		origin, fault := res.origin(sc)
		fault = cmp.Or(fault, ingest.CheckSystem(r.rules, res.service))
		*g = group{res: res, scope: sc, origin: origin, fault: fault}
		for name := range res.attributes {
			g.keyed = g.keyed || r.rules.NamesAttribute(name)
		}
	}
	return g
}

// addSpan takes one decoded span, or the error that decoding it gave. What it returns
// refuses the request.
func (r *result) addSpan(s *span, res *resource, sc scope, err error) error {
	g := r.enter(res, sc)
	if err = cmp.Or(g.fault, err); err == nil {
		err = s.complete(g.origin)
	}
	if err != nil {
		r.reject(err)
		return r.count(0)
	}
	if err := r.count(len(s.Attributes) + 2*len(s.Events) + 2*len(s.Links)); err != nil {
		return err
	}
	if g.keyed || r.named(&s.SpanRecord) {
		signal := s.Signal()
		signal.Received = r.received
		if err := r.rules.AssignKeys(&signal); err != nil {
			r.reject(err)
			return nil
		}
		if r.rules.Wants(&signal) {
			if err := r.grow(ingest.AttributeCost * len(signal.Attributes)); err != nil {
				return err
			}
			r.batch.Signals = append(r.batch.Signals, signal)
		}
	}
	if err := r.spans.Add(&s.SpanRecord); err != nil {
		return fmt.Errorf("pack span %s of trace %s: %w", s.SpanID, s.TraceID, err)
	}
	return nil
}

// named says whether a rule names the span or one of its attributes.
func (r *result) named(s *flows.SpanRecord) bool {
	if r.rules.NamesSpan(s.Name) {
		return true
	}
	for i := range s.Attributes {
		if r.rules.NamesAttribute(s.Attributes[i].Name) {
			return true
		}
	}
	return false
}

// addLog takes one decoded log record: an event where it has an event's name. What it
// returns refuses the request.
func (r *result) addLog(l *logRecord, res *resource, sc scope, err error) error {
	if err = cmp.Or(res.fault, sc.fault, ingest.CheckSystem(r.rules, res.service), err); err != nil {
		r.reject(err)
		return r.count(0)
	}
	if err := r.count(len(res.attributes) + len(l.Attributes)); err != nil {
		return err
	}
	at, err := l.complete(res, sc)
	if err != nil {
		r.reject(err)
		return nil
	}
	signal, ok, err := l.event(at)
	if ok && err == nil {
		if signal.Received = r.received; signal.Time == 0 {
			signal.Time = r.received
		}
		err = r.rules.AssignKeys(&signal)
	}
	switch {
	case err != nil:
		r.reject(err)
	case ok:
		r.batch.Signals = append(r.batch.Signals, signal)
	default:
		if l.Time = at; at == 0 {
			l.Time = r.received
		}
		l.Body = text(l.body)
		r.batch.Logs = append(r.batch.Logs, l.LogRecord)
	}
	return nil
}
