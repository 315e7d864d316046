package store

import (
	"strings"
	"testing"
	"time"
)

func TestSetRetention(t *testing.T) {
	s := openStore(t)
	r := Retention{Spans: 36 * time.Hour, Signals: 48 * time.Hour, Instances: 72 * time.Hour}
	for range 2 {
		if err := s.SetRetention(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for table, want := range map[string]string{
		"spans": "toIntervalSecond(129600)", "logs": "toIntervalSecond(129600)", "signals": "toIntervalSecond(172800)",
		"instances": "toIntervalSecond(259200)", "steps": "toIntervalSecond(518400)",
	} {
		var ddl string
		if err := s.conn.QueryRow(t.Context(), "SHOW CREATE TABLE "+table).Scan(&ddl); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(ddl, want) {
			t.Errorf("%s: no %s in %s", table, want, ddl)
		}
	}
}

func TestRetentionOnACluster(t *testing.T) {
	got := (&Store{cluster: "pr`od"}).retention(Retention{Instances: time.Hour})[3]
	want := "ALTER TABLE instances ON CLUSTER `pr``od` MODIFY TTL written + toIntervalSecond(3600) DELETE WHERE isNotNull(ended_at) SETTINGS materialize_ttl_after_modify = 0"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
