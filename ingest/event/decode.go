package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"throughline/flows"
	"throughline/ingest"
)

// result is what one request holds: a batch to publish, and what of it is refused.
type result struct {
	batch    flows.Batch
	faults   []fault
	rejected ingest.Rejected
	accepted int
	room     *room // that the batch is in
}

// room is memory of a request that the next one takes over.
type room struct {
	signals []flows.Signal
	reader  reader
}

var rooms = sync.Pool{New: func() any { return new(room) }}

// free gives the memory of the batch to the next request.
func (r *result) free() {
	const kept = 1 << 20 // bytes; a larger one is not kept
	one := r.room
	r.room, r.batch = nil, flows.Batch{}
	if one == nil || cap(one.reader.out) > kept || cap(one.signals) > kept/512 {
		return
	}
	clear(one.signals)
	one.signals, one.reader.s = one.signals[:0], ""
	rooms.Put(one)
}

// fault names one event that is refused, by its place in the request.
type fault struct {
	Index int    `json:"index"`
	Error string `json:"error"`
}

// mapper turns events into signals under one set of rules, received at one time. grow is
// asked before memory is taken for another one.
type mapper struct {
	rules    ingest.Rules
	received flows.Time
	grow     func(n int) error
}

// decode reads a request in any of the three modes of the HTTP binding. An error means
// that it cannot be split into events; a fault of one event is in the result.
func (m *mapper) decode(header http.Header, body []byte) (*result, error) {
	// The JSON decoder copies the body, and the signals have texts of their own.
	if err := m.grow(2 * len(body)); err != nil {
		return nil, err
	}
	res := &result{rejected: ingest.Rejected{}}
	contentType := header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && contentType != "" {
		return nil, ingest.Refuse(ingest.Unsupported, "Content-Type "+ingest.Excerpt(contentType)+" is not a media type")
	}
	switch {
	case media == "application/cloudevents+json":
		return res, m.structured(res, body)
	case media == "application/cloudevents-batch+json":
		return res, m.batch(res, body)
	case strings.HasPrefix(media, "application/cloudevents"):
		return nil, ingest.Refuse(ingest.Unsupported, "Content-Type "+ingest.Excerpt(media)+
			" is not taken; send application/cloudevents+json or application/cloudevents-batch+json")
	case header.Get("Ce-Specversion") != "":
		m.binary(res, header, media, body)
		return res, nil
	case media == "application/json":
		// Not in the binding, but what curl users and some SDKs send.
		if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
			return res, m.batch(res, body)
		}
		return res, m.structured(res, body)
	}
	return nil, ingest.Refuse(ingest.Unsupported, "neither a ce-specversion header nor a Content-Type of CloudEvents; "+
		"send application/cloudevents+json, application/cloudevents-batch+json, or the attributes as ce- headers")
}

func (m *mapper) structured(res *result, body []byte) error {
	if f, ok := m.fast(res, body); ok {
		ok, err := f.structured(res)
		if f.done(res); ok {
			return err
		}
	}
	return m.slowStructured(res, body)
}

func (m *mapper) slowStructured(res *result, body []byte) error {
	if !json.Valid(body) {
		return ingest.Refuse(ingest.Invalid, "the body is not JSON: "+syntaxError(body))
	}
	return m.element(res, 0, body)
}

func (m *mapper) batch(res *result, body []byte) error {
	if f, ok := m.fast(res, body); ok {
		ok, err := f.batch(res)
		if f.done(res); ok {
			return err
		}
		*res = result{rejected: ingest.Rejected{}} // its room is not used again
	}
	return m.slowBatch(res, body)
}

// fast reads body the fast way, where that is UTF-8.
func (m *mapper) fast(res *result, body []byte) (*fast, bool) {
	if !utf8.Valid(body) {
		return nil, false
	}
	if res.room == nil {
		res.room = rooms.Get().(*room)
	}
	old := &res.room.reader
	r := reader{s: borrowed(body), out: slices.Grow(old.out[:0], len(body)), stack: old.stack[:0], room: old.room[:0]}
	return &fast{mapper: m, reader: r}, true
}

// done has the request's room take what f grew.
func (f *fast) done(res *result) {
	res.room.reader.out, res.room.reader.stack, res.room.reader.room = f.out, f.stack, f.reader.room
	res.room.signals = res.batch.Signals
}

// slowBatch reads element by element, so that neither a broken event nor the number of
// events costs the others or the process.
func (m *mapper) slowBatch(res *result, body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return ingest.Refuse(ingest.Invalid, "the body of a batch is a JSON array of events: "+syntaxError(body))
	}
	for i := 0; dec.More(); i++ {
		if i == ingest.MaxSignals {
			return ingest.Refuse(ingest.TooLarge, fmt.Sprintf("the batch has more than %d events; send smaller batches", ingest.MaxSignals))
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return ingest.Refuse(ingest.Invalid, fmt.Sprintf("the body is not JSON, in event %d: %v", i, err))
		}
		if err := m.element(res, i, raw); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return ingest.Refuse(ingest.Invalid, "the body is not JSON: the array does not end")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return ingest.Refuse(ingest.Invalid, "the body is not JSON: there is more after the array")
	}
	return nil
}

func syntaxError(body []byte) string {
	var any json.RawMessage
	if err := json.Unmarshal(body, &any); err != nil {
		return err.Error()
	}
	return "it holds another value"
}

// element maps one event in JSON.
func (m *mapper) element(res *result, index int, raw []byte) error {
	signal, err := m.fromJSON(raw)
	res.add(index, signal, err)
	return m.grow(ingest.SignalCost + ingest.AttributeCost*(len(signal.Attributes)+len(signal.Data)))
}

func (m *mapper) fromJSON(raw []byte) (flows.Signal, error) {
	if !utf8.Valid(raw) {
		return flows.Signal{}, ingest.Faultf(ingest.ReasonText, "the event is not valid UTF-8")
	}
	values, depth := ingest.JSONShape(raw)
	if depth > ingest.MaxDepth {
		return flows.Signal{}, ingest.TooDeep("event")
	}
	if values > 2*flows.MaxAttributes {
		return flows.Signal{}, ingest.TooMany("event")
	}
	fields, err := flows.DecodeObject(raw)
	if errors.Is(err, flows.ErrTooManyFields) {
		return flows.Signal{}, ingest.TooMany("event")
	}
	if err != nil {
		return flows.Signal{}, ingest.Faultf(ingest.ReasonSyntax, "event: %v", err)
	}
	return m.signal(fields)
}

// binary maps an event whose attributes are headers and whose data is the body.
func (m *mapper) binary(res *result, header http.Header, media string, body []byte) {
	signal, err := m.fromHeaders(header, media, body)
	res.add(0, signal, err)
}

func (m *mapper) fromHeaders(header http.Header, media string, body []byte) (flows.Signal, error) {
	fields := make(map[string]any)
	for name, values := range header {
		attribute, ok := strings.CutPrefix(name, "Ce-")
		attribute = strings.ToLower(attribute)
		if !ok || attribute == "datacontenttype" { // Content-Type says that
			continue
		}
		fields[attribute] = unescape(values[0])
	}
	if media != "" {
		fields["datacontenttype"] = media
	}
	for _, reserved := range [...]string{"data", "data_base64"} {
		if _, ok := fields[reserved]; ok {
			return flows.Signal{}, ingest.Faultf(ingest.ReasonSyntax, "%s: in binary mode the data is the body, not a header", reserved)
		}
	}
	if isJSON(media) && len(bytes.TrimSpace(body)) > 0 {
		if err := decodeJSONData(fields, body); err != nil {
			return flows.Signal{}, err
		}
	}
	return m.signal(fields)
}

// unescape undoes the percent-encoding of header values (HTTP binding, section 3.1.3.2).
// A value that was never encoded, and holds a bare %, is taken as it is.
func unescape(value string) string {
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}

// add keeps a signal or its fault.
func (r *result) add(index int, s flows.Signal, err error) {
	if err == nil {
		r.batch.Signals = append(r.batch.Signals, s)
		return
	}
	r.refuse(index, err)
}

func (r *result) refuse(index int, err error) {
	reason := ingest.ReasonKey // what the rules refuse is a key
	if f, ok := errors.AsType[*ingest.Fault](err); ok {
		reason = f.Reason
	}
	r.rejected[reason]++
	r.faults = append(r.faults, fault{index, err.Error()})
}
