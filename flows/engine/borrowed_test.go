package engine

import (
	"bytes"
	"testing"
	"unsafe"

	"throughline/flows"
)

// borrowed are signals as the bus gives them: packed, their texts in memory that is used again
// when they are applied.
type borrowed struct{ texts []byte }

func (b *borrowed) text(t testing.TB, s string) string {
	t.Helper()
	if s == "" {
		return ""
	}
	if len(b.texts)+len(s) > cap(b.texts) {
		t.Fatal("there is too little room for the texts of these signals")
	}
	from := len(b.texts)
	b.texts = append(b.texts, s...)
	return unsafe.String(&b.texts[from], len(s))
}

func (b *borrowed) of(t testing.TB, signals []flows.Signal) []flows.Signal {
	t.Helper()
	b.texts = make([]byte, 0, 4096*len(signals))
	all := make([]flows.Signal, len(signals))
	for i := range signals {
		s := signals[i]
		hash := s.ContentHash()
		attributes, err := s.AppendAttributes(nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := s.AppendData(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Attributes, s.Data = nil, nil
		s.Packed = flows.Packed{Attributes: b.text(t, string(attributes)), Data: b.text(t, string(data)), Hash: hash}
		for _, text := range [...]*string{&s.Source, &s.ID, &s.Name, &s.System, &s.Environment, &s.Sequence, &s.TraceID, &s.SpanID, &s.ParentID} {
			*text = b.text(t, *text)
		}
		s.Keys = nil
		for _, k := range signals[i].Keys {
			s.Keys = append(s.Keys, flows.Key{Type: b.text(t, k.Type), Value: b.text(t, k.Value)})
		}
		all[i] = s
	}
	return all
}

// spoil is what the next message does.
func (b *borrowed) spoil() { copy(b.texts, bytes.Repeat([]byte{'#'}, len(b.texts))) }
