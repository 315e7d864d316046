package engine

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzParcel reads whatever the store may return: an error or a parcel that is written as
// it was read, and never more of it than its text has room for.
func FuzzParcel(f *testing.F) {
	s := set(f, sixSteps, strings.ReplaceAll(orderFile, "flow: order", "flow: other"))
	e := New(s)
	e.Roll(10 * minute)
	for order := range 3 {
		e.Apply(orderSignals(s, order, 6, 0), 10*minute)
	}
	for _, state := range saveAll(e).States {
		f.Add(state.Text)
	}
	f.Add("")
	f.Add("\x01\xff\xff\xff\xff\x7f")
	f.Fuzz(func(t *testing.T, text string) {
		var p, again parcel
		if e.names.read(e, text, &p) != nil {
			return
		}
		written := string(e.names.write(nil, e, &p))
		if err := e.names.read(e, written, &again); err != nil {
			t.Fatalf("%v: %q", err, written)
		}
		if diff := gocmp.Diff(p, again, gocmp.AllowUnexported(parcel{}, parcelKey{}, parcelGroup{}, parcelInstance{}, parcelSignal{}, parcelPlace{}, parcelHit{}),
			gocmp.Comparer(func(a, b *flowState) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}
