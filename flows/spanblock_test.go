package flows

import (
	"bytes"
	"fmt"
	"testing"
)

func someSpans(n int) []SpanBlock {
	var p SpanPacker
	origins := []*SpanOrigin{
		nil, {Service: "shop", Resource: map[string]any{"service.name": "shop", "n": int64(1)}, ScopeName: "lib"}, {Service: "bank", ScopeVersion: "2"},
	}
	for i := range n {
		s := SpanRecord{
			TraceID: fmt.Sprintf("%032x", i), SpanID: fmt.Sprintf("%016x", i), Name: fmt.Sprint("work ", i%7), Kind: "Server",
			Origin: origins[i%len(origins)], Start: Time(i), Duration: -1, StatusCode: "Ok",
			Attributes: []Attribute{
				{Name: "a", Text: "old"},
				{Name: "b", Kind: AttributeInt, Number: uint64(i)},
				{Name: "a", Text: "new"},
				{Name: "c", Kind: AttributeNested, Nested: []any{true, nil}},
			},
		}
		if i%5 == 0 {
			s.Events = []SpanEvent{{Time: 5, Name: "e", Attributes: map[string]any{"x": 0.5, "y": ""}}, {}}
			s.Links = []SpanLink{{TraceID: "t", SpanID: "s", TraceState: "k=v", Attributes: map[string]any{"z": false}}}
		}
		if err := p.Add(&s); err != nil {
			panic(err)
		}
	}
	return p.Blocks()
}

// TestSpanBlockRoundTrip: what is read is what was written, and nothing cut off or longer
// is taken for it.
func TestSpanBlockRoundTrip(t *testing.T) {
	blocks := someSpans(5000)
	rows := 0
	for i := range blocks {
		rows += blocks[i].Rows
		raw := blocks[i].AppendTo(nil)
		if len(raw) > 2*SpanBlockSize || len(blocks) < 2 {
			t.Fatalf("%d blocks; one has %d bytes", len(blocks), len(raw))
		}
		again, err := ParseSpanBlock(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.AppendTo(nil), raw) {
			t.Fatal("a block came back changed")
		}
		for _, cut := range []int{0, 1, 100, len(raw) / 2, len(raw) - 1} {
			if _, err := ParseSpanBlock(raw[:cut]); err == nil {
				t.Fatalf("%d bytes of %d are taken for a block", cut, len(raw))
			}
		}
		if _, err := ParseSpanBlock(append(raw, 0)); err == nil {
			t.Fatal("a byte too many is taken")
		}
	}
	if rows != 5000 {
		t.Fatalf("%d spans", rows)
	}
}

// TestSpanPackerIsUsedAgain: Reset leaves nothing of the blocks before.
func TestSpanPackerIsUsedAgain(t *testing.T) {
	pack := func(p *SpanPacker, names ...string) []byte {
		for _, name := range names {
			if err := p.Add(&SpanRecord{Name: name, Attributes: []Attribute{{Name: name, Text: name}}}); err != nil {
				t.Fatal(err)
			}
		}
		return p.Blocks()[0].AppendTo(nil)
	}
	var used SpanPacker
	pack(&used, "a", "b", "c", "a")
	used.Reset()
	if got, want := pack(&used, "c", "d"), pack(new(SpanPacker), "c", "d"); !bytes.Equal(got, want) {
		t.Errorf("%q, a new packer makes %q", got, want)
	}
}

// FuzzSpanBlock: bytes that are taken for a block can be walked, and are one.
func FuzzSpanBlock(f *testing.F) {
	for _, b := range append(someSpans(6), SpanBlock{}) {
		f.Add(b.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		block, err := ParseSpanBlock(raw)
		if err != nil {
			return
		}
		heads := block.Column(SpanHeads)
		for range block.Rows {
			var head [8]uint64
			for i := range head {
				head[i], heads = SpanNumber(heads)
			}
			_ = block.Words[block.Resources[head[0]].Service]
			_ = block.Words[block.Scopes[head[1]].Name]
			_ = block.Words[head[2]]
		}
		for _, c := range []SpanColumn{SpanValues, SpanEventValues, SpanLinkValues, SpanTraceIDs, SpanLinkStates} {
			for rest := block.Column(c); len(rest) > 0; {
				_, rest = SpanText(rest)
			}
		}
		if again, err := ParseSpanBlock(block.AppendTo(nil)); err != nil || again.Rows != block.Rows {
			t.Fatalf("written again: %v", err)
		}
	})
}

// TestSpanBlockKeep: the rows that are kept are as if only they had been packed.
func TestSpanBlockKeep(t *testing.T) {
	blocks := someSpans(60)
	whole := blocks[0]
	all := whole.Keep(func(int) bool { return true })
	if !bytes.Equal(all.AppendTo(nil), whole.AppendTo(nil)) {
		t.Error("a block of all its rows is another")
	}
	odd := func(row int) bool { return row%2 == 1 }
	kept := whole.Keep(odd)
	if _, err := ParseSpanBlock(kept.AppendTo(nil)); err != nil || kept.Rows != 30 {
		t.Fatalf("%d rows, %v", kept.Rows, err)
	}
	ids := kept.Column(SpanIDs)
	for i := range kept.Rows {
		var id []byte
		if id, ids = SpanText(ids); string(id) != fmt.Sprintf("%016x", 2*i+1) {
			t.Fatalf("row %d is span %s", i, id)
		}
	}
	rest := whole.Keep(func(row int) bool { return !odd(row) })
	for c := range spanColumns {
		if len(kept.Column(c))+len(rest.Column(c)) != len(whole.Column(c)) {
			t.Errorf("column %d: bytes are lost or doubled", c)
		}
	}
}
