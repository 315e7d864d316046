package flows

import (
	"reflect"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A record written over another says nothing of that.
func TestRecordIntoForgetsWhatWasThere(t *testing.T) {
	f := order()
	failed := at(0, 0)
	failed.Failed = true
	for _, history := range [][]Occurrence{{at(0, 0), at(1, 5)}, {failed}} {
		in := f.Fold(history, 8*minute)
		var r InstanceRecord
		for i := range reflect.TypeOf(r).NumField() {
			fill(reflect.ValueOf(&r).Elem().Field(i))
		}
		f.RecordInto(&r, "1", &in, 8*minute)
		if diff := gocmp.Diff(f.Record("1", &in, 8*minute), r, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}

// fill gives a field something that is not its zero value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("left over")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("left"), reflect.ValueOf("over"))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
	default:
		v.Set(reflect.ValueOf(7).Convert(v.Type()))
	}
}

// Records that share maps say what those with maps of their own say, also where names and
// values run together to the same text.
func TestRecordOccurrenceSharesMaps(t *testing.T) {
	var named Named
	f := &Flow{Name: "f", Segments: []string{"a", "ab"}, Steps: []Step{{ID: "s"}}}
	for round := range 2 {
		for _, values := range [][]string{nil, {"", ""}, {"bx", ""}, {"", "x"}, {"x", "x"}, {"x\x02abx", ""}, {"x", "y"}} {
			o := Occurrence{Segments: values}
			var r OccurrenceRecord
			f.RecordOccurrence(&r, "1", &o, &named)
			if diff := gocmp.Diff(f.OccurrenceRecord("1", o).Segments, r.Segments); diff != "" {
				t.Errorf("round %d, %q: %s", round, values, diff)
			}
		}
	}
	if len(named.maps) != 5 {
		t.Errorf("%d maps, want 5", len(named.maps))
	}
}
