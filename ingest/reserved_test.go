package ingest

import (
	"testing"

	"throughline/flows"
)

func TestAPersonsWordIsNotTakenAsAnEvent(t *testing.T) {
	s := flows.Signal{Source: "throughline", ID: "1", Name: flows.ResolvedName}
	if err := CheckSignal(&s); err == nil {
		t.Error("anyone who may send events could resolve any instance")
	}
	s.Name = "order.resolved"
	if err := CheckSignal(&s); err != nil {
		t.Error(err)
	}
}
