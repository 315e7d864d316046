package flows

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// SpanBlockSize is about how large a block grows before the next one is begun, in bytes:
// several hundred spans. Only a single span of more makes a larger one.
const SpanBlockSize = 256 << 10

// SpanPacker makes blocks of spans. Its zero value is ready. Blocks share memory with the
// names in the records, and with the packer until Reset.
type SpanPacker struct {
	done  []SpanBlock
	block SpanBlock
	size  int // of the block, about
	words map[string]uint32
	seen  []int  // by word: the row, from 1, that has an attribute of that name
	text  []byte // of one value

	// The spans of a request are much alike: what the last one had is tried first.
	origin          *SpanOrigin
	resource, scope uint32
	head            [3]uint32 // name, kind, status
	names           []uint32
}

// Blocks are the blocks of all spans that were added. Reset comes before the next Add.
func (p *SpanPacker) Blocks() []SpanBlock {
	if p.block.Rows > 0 {
		p.done = append(p.done, p.block)
		p.block = SpanBlock{}
	}
	return p.done
}

// Reset makes the packer empty. The blocks that it made are of no use from then on: the
// memory of the first is used again, if that is not one of a huge span.
func (p *SpanPacker) Reset() {
	if len(p.done) > 0 && p.done[0].Size() <= 2*SpanBlockSize {
		p.block = p.done[0]
	}
	clear(p.done)
	b := &p.block
	for i := range b.columns {
		b.columns[i] = b.columns[i][:0]
	}
	clear(b.Words) // they hold the memory of requests
	*b = SpanBlock{Words: b.Words[:0], Resources: b.Resources[:0], Scopes: b.Scopes[:0], columns: b.columns}
	clear(p.words)
	*p = SpanPacker{done: p.done[:0], block: p.block, words: p.words, seen: p.seen[:0], text: p.text, names: p.names[:0]}
}

// next begins another block, in memory of its own.
func (p *SpanPacker) next() {
	p.done = append(p.done, p.block)
	clear(p.words)
	*p = SpanPacker{done: p.done, words: p.words, seen: p.seen[:0], text: p.text, names: p.names[:0]}
}

// Add appends a span. An error says that an attribute has a value of a kind that signals
// do not have; the packer is of no use then.
func (p *SpanPacker) Add(s *SpanRecord) error {
	size := s.size()
	if p.block.Rows > 0 && p.size+size > SpanBlockSize {
		p.next()
	}
	if p.block.Rows == 0 {
		if p.words == nil {
			p.words = make(map[string]uint32)
		}
		p.word("")
	}
	p.size += size
	p.block.Rows++
	if err := p.originate(s.Origin); err != nil {
		return err
	}
	c := &p.block.columns
	c[SpanStarts] = binary.LittleEndian.AppendUint64(c[SpanStarts], uint64(s.Start))
	c[SpanDurations] = binary.LittleEndian.AppendUint64(c[SpanDurations], uint64(max(0, s.Duration)))
	c[SpanTraceIDs] = appendSized(c[SpanTraceIDs], s.TraceID)
	c[SpanIDs] = appendSized(c[SpanIDs], s.SpanID)
	c[SpanParentIDs] = appendSized(c[SpanParentIDs], s.ParentID)
	c[SpanStates] = appendSized(c[SpanStates], s.TraceState)
	c[SpanMessages] = appendSized(c[SpanMessages], s.StatusMessage)
	count, err := p.attributes(s.Attributes)
	if err != nil {
		return err
	}
	for i, text := range [...]string{s.Name, s.Kind, s.StatusCode} {
		if p.block.Words[p.head[i]] != text {
			p.head[i] = p.word(text)
		}
	}
	head := c[SpanHeads]
	for _, n := range [...]uint32{
		p.resource, p.scope, p.head[0], p.head[1], p.head[2], uint32(count), uint32(len(s.Events)), uint32(len(s.Links)),
	} {
		head = binary.AppendUvarint(head, uint64(n))
	}
	c[SpanHeads] = head
	if err := p.events(s.Events); err != nil {
		return err
	}
	return p.links(s.Links)
}

// size is about what the span adds to a block.
func (s *SpanRecord) size() int {
	const fixed, perAttribute = 128, 12
	n := fixed + len(s.Name) + len(s.TraceState) + len(s.StatusMessage) + perAttribute*len(s.Attributes)
	for i := range s.Attributes {
		n += len(s.Attributes[i].Text)
	}
	for i := range s.Events {
		n += fixed + 4*perAttribute*len(s.Events[i].Attributes)
	}
	return n + fixed*len(s.Links)
}

// word is the number of a text of this block.
func (p *SpanPacker) word(text string) uint32 {
	n, ok := p.words[text]
	if !ok {
		n = uint32(len(p.block.Words))
		p.words[text] = n
		p.block.Words = append(p.block.Words, text)
		p.seen = append(p.seen, 0)
		p.size += len(text)
	}
	return n
}

// originate makes o the resource and scope of the spans that follow.
func (p *SpanPacker) originate(o *SpanOrigin) (err error) {
	if o == nil {
		o = &noOrigin
	}
	if o == p.origin {
		return nil
	}
	r := SpanResource{Service: p.word(o.Service)}
	for _, name := range slices.Sorted(maps.Keys(o.Resource)) {
		r.Names = append(r.Names, p.word(name))
		if r.Values, err = p.appendValue(r.Values, o.Resource[name]); err != nil {
			return fmt.Errorf("resource attribute %s: %w", name, err)
		}
	}
	p.size += len(r.Values)
	p.origin, p.resource, p.scope = o, uint32(len(p.block.Resources)), uint32(len(p.block.Scopes))
	p.block.Resources = append(p.block.Resources, r)
	p.block.Scopes = append(p.block.Scopes, SpanScope{p.word(o.ScopeName), p.word(o.ScopeVersion)})
	return nil
}

var noOrigin SpanOrigin

func (p *SpanPacker) appendValue(to []byte, v any) (_ []byte, err error) {
	if p.text, err = AppendText(p.text[:0], v); err != nil {
		return to, err
	}
	return appendSized(to, p.text), nil
}

// attributes writes a span's attributes and says how many there are.
func (p *SpanPacker) attributes(list []Attribute) (int, error) {
	if list = p.name(list); len(list) == 0 {
		return 0, nil
	}
	names, values := p.block.columns[SpanNames], p.block.columns[SpanValues]
	for i := range list {
		names = binary.AppendUvarint(names, uint64(p.names[i]))
		a := &list[i]
		if a.Kind == AttributeText {
			values = appendSized(values, a.Text)
			continue
		}
		var err error
		if p.text, err = a.appendText(p.text[:0]); err != nil {
			return 0, fmt.Errorf("attribute %s: %w", a.Name, err)
		}
		values = appendSized(values, p.text)
	}
	p.block.columns[SpanNames], p.block.columns[SpanValues] = names, values
	return len(list), nil
}

// name sets p.names for a list of attributes, and returns the list without those whose
// name comes again.
func (p *SpanPacker) name(list []Attribute) []Attribute {
	known := p.names
	p.names = p.names[:0]
	again := false
	for i := range list {
		var n uint32
		if i < len(known) && p.block.Words[known[i]] == list[i].Name {
			n = known[i]
		} else {
			n = p.word(list[i].Name)
		}
		again = again || p.seen[n] == p.block.Rows
		p.seen[n] = p.block.Rows
		p.names = append(p.names, n)
	}
	if !again {
		return list
	}
	last := make(map[string]Attribute, len(list))
	for _, a := range list {
		last[a.Name] = a
	}
	list, p.names = nil, p.names[:0]
	for _, name := range slices.Sorted(maps.Keys(last)) {
		list = append(list, last[name])
		p.names = append(p.names, p.word(name))
	}
	return list
}

func (p *SpanPacker) events(list []SpanEvent) error {
	c := &p.block.columns
	for i := range list {
		e := &list[i]
		c[SpanEventTimes] = binary.LittleEndian.AppendUint64(c[SpanEventTimes], uint64(e.Time))
		c[SpanEventHeads] = binary.AppendUvarint(c[SpanEventHeads], uint64(p.word(e.Name)))
		c[SpanEventHeads] = binary.AppendUvarint(c[SpanEventHeads], uint64(len(e.Attributes)))
		if err := p.fields(e.Attributes, SpanEventNames, SpanEventValues); err != nil {
			return fmt.Errorf("event %s: %w", e.Name, err)
		}
	}
	return nil
}

func (p *SpanPacker) links(list []SpanLink) error {
	c := &p.block.columns
	for i := range list {
		l := &list[i]
		c[SpanLinkTraceIDs] = appendSized(c[SpanLinkTraceIDs], l.TraceID)
		c[SpanLinkIDs] = appendSized(c[SpanLinkIDs], l.SpanID)
		c[SpanLinkStates] = appendSized(c[SpanLinkStates], l.TraceState)
		c[SpanLinkHeads] = binary.AppendUvarint(c[SpanLinkHeads], uint64(len(l.Attributes)))
		if err := p.fields(l.Attributes, SpanLinkNames, SpanLinkValues); err != nil {
			return fmt.Errorf("link to %s: %w", l.SpanID, err)
		}
	}
	return nil
}

// fields writes attributes of an event or link.
func (p *SpanPacker) fields(m map[string]any, names, values SpanColumn) (err error) {
	c := &p.block.columns
	before := len(c[values])
	for _, name := range slices.Sorted(maps.Keys(m)) {
		c[names] = binary.AppendUvarint(c[names], uint64(p.word(name)))
		if c[values], err = p.appendValue(c[values], m[name]); err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	p.size += len(c[values]) - before
	return nil
}
