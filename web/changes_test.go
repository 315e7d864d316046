package web

import (
	"errors"
	"slices"
	"testing"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

// TestChangesAround: of what happened to others in the two hours before an alert's first
// member waited, the nearest is told first, and what is of the same flow before what is not.
func TestChangesAround(t *testing.T) {
	h, d := manned(t)
	a := stuckAlert()
	first := a.StartsAt.Add(-time.Minute)
	release := func(service string, before time.Duration) flows.Release {
		return flows.Release{ReleaseSeen: flows.ReleaseSeen{Service: service, Version: "2", At: first.Add(-before)}, Before: "1"}
	}
	other := a
	other.ID, other.StartsAt = "a2", first.Add(-20*time.Minute)
	later := a
	later.ID, later.StartsAt = "a3", a.StartsAt.Add(time.Second)
	if err := d.hub.PublishAlerts([]Alert{a, other, later}); err != nil {
		t.Fatal(err)
	}
	around := func() (said []string) {
		for _, ch := range h.changesAround(t.Context(), orderFlow(), a, first) {
			said = append(said, ch.Release.Service+ch.Alert.ID)
		}
		return said
	}
	h.history.releases = []flows.Release{
		release("payments", 3*time.Hour), release("elsewhere", time.Minute), release("payments", 10*time.Minute),
		release("payments", -30*time.Second), release("payments", -2*time.Minute),
	}
	if got, want := around(), []string{"payments", "elsewhere", "payments", "a2"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := h.releasesOf(t.Context(), orderFlow(), first.Add(-10*time.Minute), a.StartsAt); len(got) != 2 || got[0].Service != "payments" || got[1].Service != "payments" {
		t.Errorf("of the flow's own services it tells %v", got)
	}
	h.answered()
	h.past.forget()
	for range 2 * nearChanges {
		h.history.releases = append(h.history.releases, release("elsewhere", 2*time.Minute))
	}
	if got := around(); len(got) != nearChanges || !slices.Contains(got, "a2") {
		t.Errorf("of many elsewhere it tells %v", got)
	}
	h.answered().err = errors.New("away")
	h.past.forget()
	if got := h.changesAround(t.Context(), orderFlow(), a, first); got != nil {
		t.Errorf("while history is away it says %v, as if it knew", got)
	}
	if got := h.changes(t.Context(), noon); len(got) == 0 || got[0].Kind != views.ChangeOpened {
		t.Errorf("while history is away alerts are no changes: %v", got)
	}
}
