package migrations

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

// TestSQL holds the final text of every migration. What runs on a cluster cannot be tried
// on the embedded engine, so there the text is what is tested.
func TestSQL(t *testing.T) {
	for name, o := range map[string]Options{
		"single.sql":  {Database: "throughline"},
		"cluster.sql": {Database: "throughline", Cluster: "prod"},
	} {
		t.Run(name, func(t *testing.T) {
			ms, err := render(o)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, m := range ms {
				fmt.Fprintf(&b, "-- %s\n%s\n", m.name, m.sql)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.String(); got != string(want) {
				t.Errorf("differs from %s; look at it, then run with -update:\n%s", path, got)
			}
		})
	}
}

// TestEveryMigration holds what all of them need.
func TestEveryMigration(t *testing.T) {
	ms, err := render(Options{Database: "d", Cluster: "{cluster}"})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range ms {
		if !strings.HasPrefix(m.name, fmt.Sprintf("%04d_", i+1)) {
			t.Errorf("%s: want number %d", m.name, i+1)
		}
		if strings.Contains(m.sql, "INSERT INTO") { // into a table that replaces rows, which is replicated
			continue
		}
		if !strings.Contains(m.sql, "IF NOT EXISTS") && !strings.Contains(m.sql, "IF EXISTS") {
			t.Errorf("%s is not idempotent", m.name)
		}
		if !strings.Contains(m.sql, "ON CLUSTER '{cluster}'") {
			t.Errorf("%s does not run on the cluster", m.name)
		}
		if i > 0 && strings.Contains(m.sql, "MergeTree") && !strings.Contains(m.sql, "ENGINE = Replicated") {
			t.Errorf("%s is not replicated on a cluster", m.name)
		}
		if strings.Contains(m.sql, ";\n") {
			t.Errorf("%s is more than one statement", m.name)
		}
	}
}

func TestNames(t *testing.T) {
	for _, o := range []Options{
		{}, {Database: "a b"}, {Database: "a`b"}, {Database: "1a"}, {Database: "d", Cluster: "x'y"}, {Database: "d", Cluster: "a b"},
	} {
		if _, err := render(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	for _, o := range []Options{{Database: "throughline"}, {Database: "_1", Cluster: "{cluster}"}, {Database: "T", Cluster: "eu-1.prod"}} {
		if _, err := render(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestRefusesNewer(t *testing.T) {
	ms := []statement{{name: "0001_a"}, {name: "0002_b"}}
	if err := refuseNewer(ms, nil); err != nil {
		t.Error(err)
	}
	if err := refuseNewer(ms, map[string]time.Time{"0001_a": {}, "0002_b": {}}); err != nil {
		t.Error(err)
	}
	if err := refuseNewer(ms, map[string]time.Time{"0001_a": {}, "0003_c": {}}); err == nil || !strings.Contains(err.Error(), "0003_c") {
		t.Errorf("got %v", err)
	}
}
