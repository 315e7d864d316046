package flows

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// TestOwned changes the memory that every text of a signal was in: the owned one stays.
func TestOwned(t *testing.T) {
	var memory [][]byte
	text := func() string {
		b := fmt.Appendf(nil, "text %d", len(memory))
		memory = append(memory, b)
		return unsafe.String(&b[0], len(b))
	}
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			v.SetString(text())
		case reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0))
			fill(v.Index(1))
		}
	}
	object := func() map[string]any {
		return map[string]any{text(): []any{text(), int64(1)}, "number": json.Number(text()), "nested": map[string]any{"a": text(), "none": nil}}
	}
	var s Signal
	fill(reflect.ValueOf(&s).Elem())
	s.Attributes, s.Data = object(), object()
	own := s.Owned()
	if diff := cmp.Diff(s, own); diff != "" {
		t.Fatal(diff)
	}
	want := fmt.Sprintf("%+v", own)
	for _, b := range memory {
		copy(b, "########")
	}
	if got := fmt.Sprintf("%+v", own); got != want {
		t.Fatalf("it was\n%s\nand is\n%s", want, got)
	}
	if fmt.Sprintf("%+v", s) == want {
		t.Error("this test changes nothing")
	}
	if empty := (&Signal{}).Owned(); !reflect.DeepEqual(empty, Signal{}) {
		t.Errorf("of none: %+v", empty)
	}
}
