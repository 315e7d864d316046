package otlp

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"throughline/flows"
	"throughline/ingest"
)

// mapper turns records into a batch under one set of rules, received at one time.
type mapper struct {
	rules    ingest.Rules
	received flows.Time
}

// result is what one request holds: a batch to publish, and what of it is rejected.
type result struct {
	mapper
	batch    flows.Batch
	rejected ingest.Rejected
	faults   []string // the first few that differ
}

func (m mapper) newResult() *result { return &result{mapper: m, rejected: ingest.Rejected{}} }

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

// addSpan takes one decoded span, or the error that decoding it gave.
func (r *result) addSpan(s *span, res *resource, sc scope, err error) {
	if err = cmp.Or(res.fault, sc.fault, err); err != nil {
		r.reject(err)
		return
	}
	record, err := s.record(res, sc)
	if err != nil {
		r.reject(err)
		return
	}
	signal := record.Signal()
	signal.Received = r.received
	if err := r.rules.AssignKeys(&signal); err != nil {
		r.reject(err)
		return
	}
	r.batch.Spans = append(r.batch.Spans, record)
	if r.rules.Wants(&signal) {
		r.batch.Signals = append(r.batch.Signals, signal)
	}
}

// addLog takes one decoded log record: an event where it has an event's name.
func (r *result) addLog(l *logRecord, res *resource, sc scope, err error) {
	if err = cmp.Or(res.fault, sc.fault, err); err != nil {
		r.reject(err)
		return
	}
	at, err := l.complete(res, sc)
	if err != nil {
		r.reject(err)
		return
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
}
