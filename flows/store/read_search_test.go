package store

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

func TestSearch(t *testing.T) {
	s, f := openStore(t), parseFlow(t, []byte(orders))
	story(t, s, f)
	for q, want := range map[string]flows.Found{
		"a:1": { // no flow has keys of a type a: the colon may be part of a value, or of a key from before
			Flows: []string{}, Instances: []flows.FoundInstance{{Flow: "orders", Key: "A:1"}}, Keys: []flows.Key{{Type: "order_id", Value: "A:1"}},
		},
		"order_id:b": {Flows: []string{}, Instances: []flows.FoundInstance{}, Keys: []flows.Key{{Type: "order_id", Value: "B"}}},
		"9":          {Flows: []string{}, Instances: []flows.FoundInstance{}, Keys: []flows.Key{{Type: "invoice_id", Value: "9"}}},
		" ":          {Flows: []string{}, Instances: []flows.FoundInstance{}, Keys: []flows.Key{}},
	} {
		got, err := s.Search(t.Context(), []*flows.Flow{f}, q, 10)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%q: -want +got\n%s", q, diff)
		}
	}
}

// TestSearchPassesOverWhatIsGone has keys of instances that are gone stand before those that are there.
func TestSearchPassesOverWhatIsGone(t *testing.T) {
	s := openStore(t)
	var old, now []flows.InstanceRecord
	for i := range 40 {
		r := flows.InstanceRecord{Flow: "orders", Key: fmt.Sprintf("key-%02d", i), State: flows.Open, StartedAt: epoch, LastAt: epoch}
		old = append(old, r)
		r.State, r.Deleted = flows.Stuck, i < 20
		now = append(now, r)
	}
	for version, rows := range [][]flows.InstanceRecord{old, now} {
		if err := s.WriteInstances(t.Context(), uint64(version+1), rows); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{1, 5, 20, 30} {
		got, err := s.Search(t.Context(), nil, "EY-", limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Instances) != min(limit, 20) {
			t.Errorf("%d of at most %d are found", len(got.Instances), limit)
		}
		for i, in := range got.Instances {
			if want := (flows.FoundInstance{Flow: "orders", Key: fmt.Sprintf("key-%02d", 20+i), State: flows.Stuck}); in != want {
				t.Errorf("%d of %d: %v, want %v", i, limit, in, want)
			}
		}
	}
}

// TestSearchEqualsALook compares what is found with a look at all instances and keys there are, for texts of any length and case.
func TestSearchEqualsALook(t *testing.T) {
	s := openStore(t)
	other := strings.NewReplacer("flow: orders", "flow: invoices", "key: order_id", "key: invoice_id", "links: [invoice_id]", "links: [order_id]").Replace(orders)
	all := []*flows.Flow{parseFlow(t, []byte(orders)), parseFlow(t, []byte(other))}
	r := rand.New(rand.NewPCG(5, 6))
	word := func(most int) string {
		b := make([]byte, 1+r.IntN(most))
		for i := range b {
			b[i] = "aAb:%_1'"[r.IntN(8)]
		}
		return string(b)
	}
	now := map[flows.FoundInstance]bool{}
	var rows []flows.InstanceRecord
	for range 300 {
		in := flows.FoundInstance{Flow: all[r.IntN(2)].Name, Key: word(5), State: flows.Open}
		if now[in] || r.IntN(4) == 0 {
			continue
		}
		now[in] = true
		rows = append(rows, flows.InstanceRecord{Flow: in.Flow, Key: in.Key, State: in.State, StartedAt: epoch, LastAt: epoch})
	}
	gone := slices.Clone(rows[:len(rows)/3])
	for i := range gone {
		gone[i].Deleted = true
		delete(now, flows.FoundInstance{Flow: gone[i].Flow, Key: gone[i].Key, State: flows.Open})
	}
	keys := map[flows.Key]bool{}
	var signals []flows.Signal
	for in := range now { // an instance has a signal with its key
		keys[flows.Key{Type: map[string]string{"orders": "order_id", "invoices": "invoice_id"}[in.Flow], Value: in.Key}] = true
	}
	for range 200 {
		keys[flows.Key{Type: []string{"order_id", "invoice_id", "before"}[r.IntN(3)], Value: word(5)}] = true
	}
	for key := range keys {
		signals = append(signals, flows.Signal{Source: "/shop", ID: key.String(), Name: "sent", Time: epoch, Received: lately, Keys: []flows.Key{key}})
	}
	if err := errors.Join(s.WriteInstances(t.Context(), 1, rows), s.WriteInstances(t.Context(), 2, gone), s.InsertSignals(t.Context(), "x", signals)); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		q, limit := word(4), []int{1, 3, 1000}[r.IntN(3)]
		typ, text, value := "", q, q
		if before, after, ok := strings.Cut(q, ":"); ok && before != "" && after != "" {
			text = after
		}
		if r.IntN(3) == 0 {
			typ, text, value, q = "order_id", q, q, "order_id:"+q
		}
		found, err := s.Search(t.Context(), all, q, limit)
		if err != nil {
			t.Fatal(err)
		}
		lower := strings.ToLower
		rank := func(of string) int {
			switch {
			case lower(of) == lower(text) || lower(of) == lower(q):
				return 0
			case strings.HasPrefix(lower(of), lower(text)) || strings.HasPrefix(lower(of), lower(q)):
				return 1
			}
			return 2
		}
		instances := slices.DeleteFunc(slices.Collect(maps.Keys(now)), func(in flows.FoundInstance) bool { return !strings.Contains(lower(in.Key), lower(text)) })
		slices.SortFunc(instances, func(a, b flows.FoundInstance) int {
			return cmp.Or(cmp.Compare(rank(a.Key), rank(b.Key)), cmp.Compare(len(a.Key), len(b.Key)), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Flow, b.Flow))
		})
		called := slices.DeleteFunc(slices.Collect(maps.Keys(keys)), func(key flows.Key) bool {
			in := key.Value
			if typ == "" && text != q {
				in = key.String()
			}
			return typ != "" && key.Type != typ || !strings.Contains(lower(in), lower(value))
		})
		slices.SortFunc(called, func(a, b flows.Key) int {
			return cmp.Or(cmp.Compare(rank(a.Value), rank(b.Value)), cmp.Compare(len(a.String()), len(b.String())), cmp.Compare(a.String(), b.String()))
		})
		if limit < 1000 { // mixed case: of as many as were asked for, those that begin as it is written come first
			equal(t, fmt.Sprintf("%q: as many as asked for", q), len(found.Instances), min(limit, len(instances)))
			equal(t, fmt.Sprintf("%q: as many keys", q), len(found.Keys), min(limit, len(called)))
			if len(instances) > 0 && rank(instances[0].Key) == 0 {
				equal(t, fmt.Sprintf("%q: the rank of the first", q), rank(found.Instances[0].Key), 0)
			}
			continue
		}
		if diff := gocmp.Diff(append([]flows.FoundInstance{}, instances...), found.Instances); diff != "" {
			t.Errorf("%q: -want +got\n%s", q, diff)
		}
		if diff := gocmp.Diff(append([]flows.Key{}, called...), found.Keys); diff != "" {
			t.Errorf("%q: -want +got\n%s", q, diff)
		}
	}
}

// TestTimelineEqualsAWalk compares timelines with a walk over all signals, where few signals carry a key and where many do.
func TestTimelineEqualsAWalk(t *testing.T) {
	s := openStore(t)
	f := parseFlow(t, []byte(orders))
	r := rand.New(rand.NewPCG(7, 8))
	var signals []flows.Signal
	for i := range 150 {
		g := flows.Signal{Source: "/shop", ID: fmt.Sprint(i), Name: []string{"sent", "order.placed", "other"}[r.IntN(3)], Time: epoch.Add(time.Duration(i/3) * time.Second), Received: lately}
		for range 1 + r.IntN(2) {
			key := flows.Key{Type: []string{"order_id", "invoice_id", "parcel_id"}[r.IntN(3)], Value: fmt.Sprint(r.IntN(25))}
			if !slices.Contains(g.Keys, key) {
				g.Keys = append(g.Keys, key)
			}
		}
		slices.SortFunc(g.Keys, flows.CompareKeys)
		signals = append(signals, g)
	}
	if err := s.InsertSignals(t.Context(), "x", append(slices.Clone(signals), signals[:20]...)); err != nil {
		t.Fatal(err)
	}
	for _, few := range []int{2000, 10, 0} {
		s.fewCarried = few
		for _, key := range []flows.Key{{Type: "order_id", Value: "3"}, {Type: "invoice_id", Value: "4"}, {Type: "parcel_id", Value: "5"}, {Type: "parcel_id", Value: "none"}} {
			got, _, err := s.Timeline(t.Context(), []*flows.Flow{f}, key, maxPage, "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(walk(signals, key, "order_id"), names(got)); diff != "" {
				t.Errorf("%s, few are %d: -want +got\n%s", key, few, diff)
			}
		}
	}
}

// walk are the ids of the signals of a timeline, in order, as the documentation of Timeline says it.
func walk(signals []flows.Signal, key flows.Key, primary string) (ids []string) {
	known, frontier := []flows.Key{key}, []flows.Key{key}
	for hop := 0; hop < maxHops && len(frontier) > 0; hop++ {
		var next []flows.Key
		for i := range signals {
			if !slices.ContainsFunc(frontier, func(k flows.Key) bool { return slices.Contains(signals[i].Keys, k) }) {
				continue
			}
			for _, k := range signals[i].Keys {
				if slices.Contains(known, k) || k.Type == primary && key.Type == primary {
					continue
				}
				known = append(known, k)
				if k.Type != primary {
					next = append(next, k)
				}
			}
		}
		frontier = next
	}
	found := slices.DeleteFunc(slices.Clone(signals), func(g flows.Signal) bool {
		return !slices.ContainsFunc(known, func(k flows.Key) bool { return slices.Contains(g.Keys, k) })
	})
	slices.SortStableFunc(found, func(a, b flows.Signal) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.ID, b.ID)) })
	return names(found)
}

func TestOddNames(t *testing.T) {
	s := openStore(t)
	f := parseFlow(t, []byte(orders))
	for _, odd := range []string{"\x00", "\xff\xfe", `\`, "'; DROP TABLE steps; --", "{flow:String}", "\t\n", "%", strings.Repeat("é", 300_000)} {
		if _, err := s.Instance(t.Context(), f, odd, flows.NoTime); !errors.Is(err, flows.ErrNotFound) {
			t.Errorf("instance %.40q: %v, want ErrNotFound", odd, err)
		}
		if found, err := s.Search(t.Context(), []*flows.Flow{f}, odd, 0); err != nil || len(found.Instances)+len(found.Keys) > 0 {
			t.Errorf("search for %.40q: %v, %v", odd, found, err)
		}
		signals, _, err := s.Timeline(t.Context(), []*flows.Flow{f}, flows.Key{Type: "order_id", Value: odd}, 0, "")
		if err != nil || len(signals) > 0 {
			t.Errorf("timeline of %.40q: %v, %v", odd, signals, err)
		}
	}
}

// TestEnvironments: one key in two environments is two instances, wherever they are read.
func TestEnvironments(t *testing.T) {
	s, f := openStore(t), parseFlow(t, []byte(orders))
	signal := flows.Signal{Source: "/shop", ID: "1", Name: "order.placed", System: "shop", Time: epoch, Received: lately}
	for environment, minutes := range map[string]int{"": 0, "staging": 5} {
		o := occurrence(t, &signal, 0)
		o.At, o.Start = epoch.Add(time.Duration(minutes)*time.Minute), epoch.Add(time.Duration(minutes)*time.Minute)
		row := f.OccurrenceRecord("A", o)
		row.Environment = environment
		in := f.Fold([]flows.Occurrence{o}, epoch.Add(time.Hour))
		r := f.Record("A", &in, epoch.Add(time.Hour))
		r.Environment = environment
		if err := errors.Join(
			s.WriteOccurrences(t.Context(), 1, []flows.OccurrenceRecord{row}),
			s.WriteInstances(t.Context(), 1, []flows.InstanceRecord{r}),
		); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []flows.Time{flows.NoTime, epoch.Add(2 * time.Hour)} {
		page, err := s.Instances(t.Context(), f, flows.InstanceQuery{At: at, Since: flows.NoTime, Sort: flows.SortKey, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		next, err := s.Instances(t.Context(), f, flows.InstanceQuery{At: at, Since: flows.NoTime, Sort: flows.SortKey, Limit: 1, Cursor: page.Next})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range append(page.Instances, next.Instances...) {
			got = append(got, r.Key+" in "+r.Environment)
			d, err := s.Instance(t.Context(), f, flows.InstanceKey(r.Key, r.Environment), at)
			if err != nil {
				t.Fatal(err)
			}
			if d.Key != r.Key || d.Environment != r.Environment || d.StartedAt != r.StartedAt {
				t.Errorf("%+v is shown as %+v", r, d.InstanceRecord)
			}
		}
		if diff := gocmp.Diff([]string{"A in ", "A in staging"}, got); diff != "" {
			t.Error(diff)
		}
	}
	found, err := s.Search(t.Context(), []*flows.Flow{f}, "a", 10)
	if err != nil {
		t.Fatal(err)
	}
	want := []flows.FoundInstance{{Flow: f.Name, Key: "A", State: flows.Open}, {Flow: f.Name, Key: "A", Environment: "staging", State: flows.Open}}
	if diff := gocmp.Diff(want, found.Instances, gocmp.Transformer("state", func(s flows.State) string { return "any" })); diff != "" {
		t.Error(diff)
	}
}
