package flows

import (
	"slices"
	"testing"
)

func TestResolutionFindsItsInstanceWhateverTheKeysFileSays(t *testing.T) {
	f := mustParse(t, "flow: f\nkey: order_id\nsteps: [{id: a, match: {event: a}}]\n")
	keys, faults := ParseKeys("keys.yaml", []byte("order_id: {from: [orderNumber], normalise: [upper]}"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := NewKeyedSet([]*Flow{f}, keys)
	if err != nil {
		t.Fatal(err)
	}
	sig := f.Resolution(&InstanceRecord{Key: "so-1", Environment: "staging"}, "paid in cash", "1", 5)
	want := slices.Clone(sig.Keys)
	if err := set.AssignKeys(&sig); err != nil || !slices.Equal(sig.Keys, want) || !slices.Equal(want, []Key{{"order_id", "so-1"}}) || sig.Environment != "staging" {
		t.Fatal(sig.Keys, err)
	}
	if hits := set.Match(&sig, nil); len(hits) != 1 || hits[0].Step != f.resolvedPosition() {
		t.Fatal(hits)
	}
	f.Reopen = true
	if second := f.Resolution(&InstanceRecord{Key: "so-1#2"}, "", "2", 5); second.Keys[0].Value != "so-1" {
		t.Fatal(second.Keys)
	}
	sig.Source = "somebody"
	if err := set.AssignKeys(&sig); err != nil || len(sig.Keys) > 0 || len(set.Match(&sig, nil)) > 0 {
		t.Fatal("another sender resolves nothing", sig.Keys)
	}
}
