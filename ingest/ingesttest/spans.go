package ingesttest

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"throughline/flows"
)

// Spans reads blocks back as records. Every attribute is a text, as it is stored, and a
// span's are in the order of their names.
func Spans(blocks []flows.SpanBlock) []flows.SpanRecord {
	var all []flows.SpanRecord
	for i := range blocks {
		all = append(all, reading{block: &blocks[i], at: map[flows.SpanColumn][]byte{}}.spans()...)
	}
	return all
}

// reading is how far each column of a block is read.
type reading struct {
	block *flows.SpanBlock
	at    map[flows.SpanColumn][]byte
}

func (r reading) rest(c flows.SpanColumn) []byte {
	if _, ok := r.at[c]; !ok {
		r.at[c] = r.block.Column(c)
	}
	return r.at[c]
}

func (r reading) number(c flows.SpanColumn) int {
	n, rest := flows.SpanNumber(r.rest(c))
	r.at[c] = rest
	return int(n)
}

func (r reading) word(c flows.SpanColumn) string { return r.block.Words[r.number(c)] }

func (r reading) text(c flows.SpanColumn) string {
	text, rest := flows.SpanText(r.rest(c))
	r.at[c] = rest
	return string(text)
}

func (r reading) fixed(c flows.SpanColumn) int64 {
	rest := r.rest(c)
	r.at[c] = rest[8:]
	return int64(binary.LittleEndian.Uint64(rest))
}

func (r reading) fields(n int, names, values flows.SpanColumn) map[string]any {
	if n == 0 {
		return nil
	}
	m := make(map[string]any, n)
	for range n {
		m[r.word(names)] = r.text(values)
	}
	return m
}

func (r reading) spans() []flows.SpanRecord {
	origins := map[[2]int]*flows.SpanOrigin{}
	list := make([]flows.SpanRecord, r.block.Rows)
	for i := range list {
		s := &list[i]
		s.Start, s.Duration = flows.Time(r.fixed(flows.SpanStarts)), time.Duration(r.fixed(flows.SpanDurations))
		s.TraceID, s.SpanID, s.ParentID = r.text(flows.SpanTraceIDs), r.text(flows.SpanIDs), r.text(flows.SpanParentIDs)
		s.TraceState, s.StatusMessage = r.text(flows.SpanStates), r.text(flows.SpanMessages)
		origin := [2]int{r.number(flows.SpanHeads), r.number(flows.SpanHeads)}
		if origins[origin] == nil {
			origins[origin] = r.origin(origin)
		}
		s.Origin = origins[origin]
		s.Name, s.Kind, s.StatusCode = r.word(flows.SpanHeads), r.word(flows.SpanHeads), r.word(flows.SpanHeads)
		attributes, events, links := r.number(flows.SpanHeads), r.number(flows.SpanHeads), r.number(flows.SpanHeads)
		for range attributes {
			s.Attributes = append(s.Attributes, flows.Attribute{Name: r.word(flows.SpanNames), Text: r.text(flows.SpanValues)})
		}
		slices.SortFunc(s.Attributes, func(a, b flows.Attribute) int { return cmp.Compare(a.Name, b.Name) })
		for range events {
			e := flows.SpanEvent{Time: flows.Time(r.fixed(flows.SpanEventTimes)), Name: r.word(flows.SpanEventHeads)}
			e.Attributes = r.fields(r.number(flows.SpanEventHeads), flows.SpanEventNames, flows.SpanEventValues)
			s.Events = append(s.Events, e)
		}
		for range links {
			l := flows.SpanLink{TraceID: r.text(flows.SpanLinkTraceIDs), SpanID: r.text(flows.SpanLinkIDs), TraceState: r.text(flows.SpanLinkStates)}
			l.Attributes = r.fields(r.number(flows.SpanLinkHeads), flows.SpanLinkNames, flows.SpanLinkValues)
			s.Links = append(s.Links, l)
		}
	}
	return list
}

func (r reading) origin(of [2]int) *flows.SpanOrigin {
	b := r.block
	resource, scope := &b.Resources[of[0]], b.Scopes[of[1]]
	o := &flows.SpanOrigin{Service: b.Words[resource.Service], ScopeName: b.Words[scope.Name], ScopeVersion: b.Words[scope.Version]}
	values := resource.Values
	for _, name := range resource.Names {
		if o.Resource == nil {
			o.Resource = map[string]any{}
		}
		var text []byte
		text, values = flows.SpanText(values)
		o.Resource[b.Words[name]] = string(text)
	}
	return o
}
