package event

import (
	"slices"
	"strings"

	"throughline/flows"
	"throughline/ingest"
)

// part is a member of an object that was written to reader.out, its name with it.
type part struct {
	name     string
	from, to int
}

// pack reads any value, which stands depth levels deep, and writes it to out.
func (r *reader) pack(depth int) bool {
	switch c := r.peek(); c {
	case '"':
		_, ok := r.packText()
		return ok
	case '{':
		return r.packObject(depth)
	case '[':
		return r.packArray(depth)
	}
	from := r.at
	var ok bool
	switch r.peek() {
	case 't':
		ok = r.word("true")
	case 'f':
		ok = r.word("false")
	case 'n':
		ok = r.word("null")
	default:
		ok = r.number() // whatever kind it gets, it is written as it came
	}
	r.out = append(r.out, r.s[from:r.at]...)
	return ok
}

// packText reads a string; the next byte is its quote.
func (r *reader) packText() (string, bool) {
	from := r.at
	text, ok := r.text()
	if ok && len(text) == r.at-from-2 { // nothing was escaped
		r.out = append(r.out, r.s[from:r.at]...)
		return text, true
	}
	r.out = flows.AppendJSONText(r.out, text)
	return text, ok
}

// packObject reads an object; the next byte is its brace. One that has a name twice is left
// to the slow way.
func (r *reader) packObject(depth int) bool {
	r.at++
	r.shape++
	if depth > ingest.MaxDepth {
		return false
	}
	start, base := len(r.out), len(r.stack)
	r.out = append(r.out, '{')
	if r.take('}') {
		r.out = append(r.out, '}')
		return true
	}
	for {
		if r.peek() != '"' {
			return false
		}
		p := part{from: len(r.out)}
		var ok bool
		if p.name, ok = r.packText(); !ok || len(p.name) > flows.MaxNameBytes || !r.take(':') {
			return false
		}
		r.out = append(r.out, ':')
		if !r.pack(depth + 1) {
			return false
		}
		p.to = len(r.out)
		r.stack = append(r.stack, p)
		if r.values++; !r.within() {
			return false
		}
		if !r.take(',') {
			break
		}
		r.shape++
		r.out = append(r.out, ',')
	}
	r.out = append(r.out, '}')
	ok := r.order(start+1, r.stack[base:])
	r.stack = r.stack[:base]
	return ok && r.take('}')
}

// order sorts the members of an object, which stand in out from start on; false where two
// have one name.
func (r *reader) order(start int, parts []part) bool {
	byName := func(a, b part) int { return strings.Compare(a.name, b.name) }
	if !slices.IsSortedFunc(parts, byName) {
		r.room = append(r.room[:0], r.out[start:]...)
		slices.SortFunc(parts, byName)
		r.out = r.out[:start]
		for i, p := range parts {
			if i > 0 {
				r.out = append(r.out, ',')
			}
			r.out = append(r.out, r.room[p.from-start:p.to-start]...)
		}
		r.out = append(r.out, '}')
	}
	for i := 1; i < len(parts); i++ {
		if parts[i].name == parts[i-1].name {
			return false
		}
	}
	return true
}

func (r *reader) packArray(depth int) bool {
	r.at++
	r.shape++
	r.out = append(r.out, '[')
	if depth > ingest.MaxDepth {
		return false
	}
	for first := true; ; first = false {
		if first && r.take(']') {
			r.out = append(r.out, ']')
			return true
		}
		if !r.pack(depth + 1) {
			return false
		}
		if r.values++; !r.within() {
			return false
		}
		if !r.take(',') {
			r.out = append(r.out, ']')
			return r.take(']')
		}
		r.shape++
		r.out = append(r.out, ',')
	}
}

// packed is what was written since start. It stays as it is: out only grows.
func (r *reader) packed(start int) string { return borrowed(r.out[start:]) }
