package views

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

// TestWaited reads the table that waited.js is tested with, too: a wait that the browser
// counts on must not change its words.
func TestWaited(t *testing.T) {
	var rows []struct {
		Milliseconds int64
		Words        string
	}
	table, err := os.ReadFile("testdata/waited.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(table, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if got := english(waited(time.Duration(row.Milliseconds) * time.Millisecond)); got != row.Words {
			t.Errorf("%d ms: %q, want %q", row.Milliseconds, got, row.Words)
		}
	}
	if len(rows) < 15 {
		t.Errorf("only %d rows", len(rows))
	}
}

// What waits longest stands first, whether it is past its limit or not.
func TestByWait(t *testing.T) {
	waits := func(key string, state flows.State, due flows.Time) flows.InstanceRecord {
		return flows.InstanceRecord{Key: key, State: state, Reason: flows.ReasonDeadline, ReasonStep: "paid", WaitingOn: []flows.WaitingRecord{{Step: "paid", DueAt: due}}}
	}
	page := &flows.InstancePage{Instances: []flows.InstanceRecord{
		waits("open", flows.Open, sampleNow.Add(-8*time.Second)), waits("newest", flows.Open, sampleNow), waits("stuck", flows.Stuck, sampleNow.Add(-20*time.Second)),
	}}
	var keys []string
	for _, in := range byWait(page).Instances {
		keys = append(keys, in.Key)
	}
	if !slices.Equal(keys, []string{"stuck", "open", "newest"}) || page.Instances[0].Key != "open" {
		t.Errorf("they stand as %v", keys)
	}
	if byWait(nil) != nil {
		t.Error("no page is a page")
	}
}
