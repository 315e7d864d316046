package main

import (
	"encoding/json"
	"testing"

	"throughline/cmd/throughline/bench"
	"throughline/flows/store/chdb"
)

// bench open goes all the way on a few instances: a server of its own, filled, late, stopped and started again.
func TestBenchOpen(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a limit to pass")
	}
	if _, err := chdb.FindLib(""); err != nil {
		t.Skip(err)
	}
	cmd := throughline(t, nil, "bench", "open", "--instances", "400", "--batch", "100", "--deadline", "10s", "--json")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var r bench.OpenReport
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if r.Instances != 400 || r.Signals != 2400 || r.FirstStuckSeconds < 0 || r.AllStuckSeconds < r.FirstStuckSeconds ||
		r.ResidentBytes <= 0 || r.RestingBytes <= 0 || r.PeakResidentBytes < r.RestingBytes/2 || r.PeakFollowingBytes < r.PeakResidentBytes || r.RestoreSeconds < r.ReadySeconds || r.ReadySeconds <= 0 {
		t.Errorf("%+v", r)
	}
}
