package store

import (
	"crypto/rand"
	"testing"

	"throughline/migrations"
)

// TestMigrate applies the schema to nothing, and to itself.
func TestMigrate(t *testing.T) {
	s := openStore(t) // for its engine
	o := migrations.Options{Database: "m" + rand.Text()}
	pending, err := migrations.Status(t.Context(), s.Root(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range pending {
		if !m.Applied.IsZero() {
			t.Errorf("%s is applied before anything is", m.Name)
		}
	}
	applied, err := migrations.Up(t.Context(), s.Root(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(applied) == 0 || len(applied) != len(pending) {
		t.Errorf("applied %v of %v", applied, pending)
	}
	if applied, err = migrations.Up(t.Context(), s.Root(), o); err != nil || len(applied) != 0 {
		t.Errorf("again: applied %v, %v", applied, err)
	}
	done, err := migrations.Status(t.Context(), s.Root(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range done {
		if m.Applied.IsZero() {
			t.Errorf("%s is still to come", m.Name)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []Config{{}, {Addr: []string{"h:1"}, Database: "a b"}} {
		if s, err := Open(t.Context(), c); err == nil {
			t.Errorf("%+v is taken", c)
			_ = s.Close()
		}
	}
}

func TestPing(t *testing.T) {
	s := openStore(t)
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
	if err := s.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}
