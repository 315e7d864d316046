package event

import (
	"encoding/json"
	"mime"
	"slices"
	"strings"
	"unsafe"

	"github.com/cloudevents/sdk-go/v2/types"

	"throughline/flows"
	"throughline/ingest"
)

// fast reads events in JSON in one pass, if they are as they should be and nearly always
// are. It says no, and changes nothing, where the slow way must look at the request.
type fast struct {
	mapper *mapper
	reader
	event members // at hand

	source, schema, contentType string // the last that were checked
}

// members are what the JSON of an event holds.
type members struct {
	version, id, source, typ, subject, time, schema, contentType string

	extensions []part // a part that is empty is null
	data       string // an object, packed
}

// structured reads a single event.
func (f *fast) structured(res *result) (bool, error) {
	s, ok := f.read()
	if !ok || f.peek() != 0 || f.at < len(f.s) {
		return false, nil
	}
	return true, f.keep(res, 0, s)
}

// batch reads an array of events. An event that it cannot read is left to the mapper; an
// array that is none to the caller.
func (f *fast) batch(res *result) (bool, error) {
	if !f.take('[') {
		return false, nil
	}
	res.batch.Signals = slices.Grow(res.room.signals[:0], min(len(f.s)/160+1, ingest.MaxSignals))
	if f.take(']') {
		return f.peek() == 0 && f.at == len(f.s), nil
	}
	for i := 0; ; i++ {
		if i == ingest.MaxSignals {
			return false, nil
		}
		f.peek()
		from := f.at
		var err error
		if s, ok := f.read(); ok {
			err = f.keep(res, i, s)
		} else if f.at = from; f.peek() == '{' && f.skip() {
			err = f.mapper.element(res, i, []byte(f.s[from:f.at]))
		} else {
			return false, nil
		}
		if err != nil {
			return true, err
		}
		if !f.take(',') {
			return f.take(']') && f.peek() == 0 && f.at == len(f.s), nil
		}
	}
}

// skip moves on over an object that is correct JSON, whatever it holds.
func (f *fast) skip() bool {
	from, level := f.at, 0
	for ; f.at < len(f.s); f.at++ {
		switch f.s[f.at] {
		case '"':
			for f.at++; f.at < len(f.s) && f.s[f.at] != '"'; f.at++ {
				if f.s[f.at] == '\\' {
					f.at++
				}
			}
		case '{', '[':
			level++
		case '}', ']':
			if level--; level == 0 {
				f.at++
				return json.Valid([]byte(f.s[from:f.at]))
			}
		}
	}
	return false
}

// read reads one event; its keys are not assigned.
func (f *fast) read() (s flows.Signal, ok bool) {
	f.event = members{extensions: f.event.extensions[:0]}
	f.begin()
	if f.peek() != '{' || !f.members() || !f.good() {
		return s, false
	}
	s = f.signal()
	return s, setTime(&s, f.event.time) == nil && len(s.Sequence) <= flows.MaxNameBytes
}

// keep assigns the keys of an event and keeps it.
func (f *fast) keep(res *result, index int, s flows.Signal) error {
	// It gets its keys where it is kept: s itself would have to be on the heap for that.
	res.batch.Signals = append(res.batch.Signals, s)
	last := len(res.batch.Signals) - 1
	if err := f.mapper.rules.AssignKeys(&res.batch.Signals[last]); err != nil {
		res.batch.Signals = res.batch.Signals[:last]
		res.refuse(index, err)
	}
	return f.mapper.grow(ingest.SignalCost + ingest.AttributeCost*f.values)
}

// members reads the members of the event; the next byte is its brace.
func (f *fast) members() bool {
	f.at++
	f.shape++
	if f.take('}') {
		return true
	}
	for {
		if f.peek() != '"' {
			return false
		}
		name, ok := f.text()
		if !ok || len(name) > flows.MaxNameBytes || !f.take(':') || !f.member(name) {
			return false
		}
		if f.values++; !f.within() {
			return false
		}
		if !f.take(',') {
			return f.take('}')
		}
		f.shape++
	}
}

// member reads the value of a member of the event.
func (f *fast) member(name string) (ok bool) {
	e := &f.event
	switch name {
	case "specversion":
		return f.string(&e.version)
	case "id":
		return f.string(&e.id)
	case "source":
		return f.string(&e.source)
	case "type":
		return f.string(&e.typ)
	case "subject":
		return f.string(&e.subject)
	case "time":
		return f.string(&e.time)
	case "dataschema":
		return f.string(&e.schema)
	case "datacontenttype":
		return f.string(&e.contentType)
	case "data_base64":
		return false
	case "data":
		return f.dataMember()
	}
	return f.extension(name)
}

// dataMember reads the data, of which an object is kept. Of two the last counts.
func (f *fast) dataMember() bool {
	start := len(f.out)
	object := f.peek() == '{'
	if !f.pack(2) {
		return false
	}
	if f.event.data = f.packed(start); !object {
		f.event.data = ""
	}
	return true
}

// extension reads one that is a scalar, and comes once.
func (f *fast) extension(name string) bool {
	for _, p := range f.event.extensions {
		if p.name == name {
			return false
		}
	}
	p := part{name: name, from: len(f.out)}
	switch f.peek() {
	case '{', '[':
		return false
	case 'n':
		f.event.extensions = append(f.event.extensions, part{name: name})
		return f.word("null") && extensionName(name)
	}
	f.out = append(flows.AppendJSONText(f.out, name), ':')
	ok := f.pack(2)
	p.to = len(f.out)
	f.event.extensions = append(f.event.extensions, p)
	return ok && extensionName(name)
}

// attributes are the extensions and the subject, packed.
func (f *fast) attributes() string {
	e := &f.event
	if e.subject != "" {
		from := len(f.out)
		f.out = flows.AppendJSONText(append(f.out, `"subject":`...), e.subject)
		e.extensions = append(e.extensions, part{"subject", from, len(f.out)})
	}
	slices.SortFunc(e.extensions, func(a, b part) int { return strings.Compare(a.name, b.name) })
	start := len(f.out)
	f.out = append(f.out, '{')
	for _, p := range e.extensions {
		if p.to == 0 {
			continue
		}
		if len(f.out) > start+1 {
			f.out = append(f.out, ',')
		}
		f.out = append(f.out, f.out[p.from:p.to]...)
	}
	f.out = append(f.out, '}')
	return f.packed(start)
}

// string reads a member that is a string, and no more than a name.
func (f *fast) string(to *string) (ok bool) {
	if f.peek() != '"' {
		return false
	}
	*to, ok = f.text()
	return ok && len(*to) <= flows.MaxNameBytes
}

// good says whether the rules of CloudEvents 1.0 hold.
func (f *fast) good() bool {
	e := &f.event
	if e.version != "1.0" || strings.TrimSpace(e.id) == "" || strings.TrimSpace(e.typ) == "" || e.typ == flows.ResolvedName || e.source == "" {
		return false
	}
	if e.source != f.source {
		source := types.ParseURIRef(e.source)
		if source == nil || strings.TrimSpace(source.String()) == "" {
			return false
		}
		f.source = strings.Clone(e.source)
	}
	if e.schema != f.schema && e.schema != "" {
		schema := types.ParseURI(e.schema)
		if schema == nil || !schema.Validate() {
			return false
		}
		f.schema = e.schema
	}
	if e.contentType != f.contentType && e.contentType != "" {
		if _, _, err := mime.ParseMediaType(strings.TrimSpace(e.contentType)); err != nil {
			return false
		}
		f.contentType = e.contentType
	}
	return true
}

// signal is the event at hand, without its keys.
func (f *fast) signal() flows.Signal {
	e := &f.event
	s := flows.Signal{
		Kind: flows.Event, Source: e.source, ID: e.id, Name: e.typ, System: e.source,
		Time: f.mapper.received, Received: f.mapper.received, Packed: flows.Packed{Attributes: f.attributes(), Data: e.data},
	}
	readExtensions(&s)
	return s
}

// borrowed is b as text, which must stay as it is.
func borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
