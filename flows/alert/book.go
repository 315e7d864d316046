package alert

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"

	"throughline/flows"
)

const (
	settle    = time.Second // a new cohort whose count stood still so long is handed over
	settleMax = 5 * time.Second
	// Numbers that move are handed on at most so often.
	moveEvery = time.Second
	// An alert that nobody renews ends: by then this process has stood still for a day.
	renewEvery = 10 * time.Minute
	endsAfter  = 24 * time.Hour
	// An incident of the run before that is missing from the first sets stays so long: the
	// engine may not have judged everything again that it had judged before a kill.
	rejoin = 5 * time.Second
	// A resolved incident is handed over again after a restart that comes so soon: its
	// group may not have been looked at (group_interval). The notification log keeps
	// receivers from hearing it twice.
	tellResolved = 10 * time.Minute
	keepResolved = 24 * time.Hour // on the pages
	maxResolved  = 200
)

// book is the record of incidents. It does no I/O but load and save, and is given the
// clock. Its owner is the router.
type book struct {
	external string // what links begin with
	active   map[model.Fingerprint]*incident
	resolved []*incident // latest last
}

type incident struct {
	cohort      flows.Cohort
	labels      model.LabelSet
	annotations model.LabelSet
	startsAt    flows.Time
	resolvedAt  flows.Time // NoTime while active
	ack         flows.Ack
	log         []flows.LogEntry // latest last, at most maxLog

	seenAt  time.Time // first
	grewAt  time.Time // count changed last
	fired   bool      // handed to the dispatcher, in this run or one before
	moved   bool      // differs from what was handed over
	renewAt time.Time // active: hand over again; resolved: handed over; zero for not yet
	movedAt time.Time // last handed over
	before  bool      // of the run before, and in no set of this one
	goneAt  time.Time // first missing from a set, while before
	told    bool      // resolved, and long enough ago that receivers know
}

func newBook(external string) book {
	return book{external: external, active: make(map[model.Fingerprint]*incident)}
}

// set makes cohorts, judged at now, the active incidents, and says whether one came or
// went. clock is the wall clock.
func (b *book) set(cohorts []flows.Cohort, now flows.Time, clock time.Time) bool {
	changed := false
	present := make(map[model.Fingerprint]bool, len(cohorts))
	for _, c := range cohorts {
		labels := labelsOf(c)
		id := labels.Fingerprint()
		present[id] = true
		in := b.active[id]
		if in == nil {
			in = &incident{
				labels: labels, startsAt: now, resolvedAt: flows.NoTime, seenAt: clock, grewAt: clock,
			}
			if c.Since != flows.NoTime {
				in.startsAt = min(c.Since, now)
			}
			b.active[id] = in
			changed = true
		}
		in.before, in.goneAt = false, time.Time{}
		if in.cohort.Count != c.Count {
			in.grewAt = clock
		}
		annotations := annotationsOf(c, linkOf(b.external, c), now)
		in.moved = in.moved || !maps.Equal(annotations, in.annotations)
		in.cohort, in.annotations = c, annotations
	}
	for id, in := range b.active {
		switch {
		case present[id]:
		case in.before:
			if in.goneAt.IsZero() {
				in.goneAt = clock
			}
		default:
			b.end(id, now)
			changed = true
		}
	}
	return changed
}

// end resolves an incident, or forgets one that nobody was told of.
func (b *book) end(id model.Fingerprint, now flows.Time) {
	in := b.active[id]
	delete(b.active, id)
	if !in.fired && !in.ack.Given() {
		return
	}
	in.resolvedAt = max(now, in.startsAt)
	in.renewAt = time.Time{}
	b.resolved = append(b.resolved, in)
}

// handover is what book.due decided.
type handover struct {
	puts []*amalert.Alert
	next time.Time // when to ask again
	save bool      // the book on disk is out of date
}

// due are the alerts to hand to the dispatcher at clock.
func (b *book) due(clock time.Time) handover {
	h := handover{next: clock.Add(renewEvery)}
	for id, in := range b.active {
		if in.goneAt.IsZero() {
			continue
		}
		if at := in.goneAt.Add(rejoin); clock.Before(at) {
			h.next = earlier(h.next, at)
		} else {
			b.end(id, flows.At(clock))
		}
	}
	b.resolved = slices.DeleteFunc(b.resolved, func(in *incident) bool {
		return clock.Sub(in.resolvedAt.Std()) > keepResolved
	})
	b.resolved = b.resolved[max(0, len(b.resolved)-maxResolved):]
	for _, in := range b.resolved {
		_, back := b.active[in.labels.Fingerprint()]
		switch {
		case in.told:
		case back, clock.Sub(in.renewAt) > tellResolved && !in.renewAt.IsZero():
			in.told, h.save = true, true
		case in.renewAt.IsZero():
			in.renewAt, h.save = clock, true
			h.puts = append(h.puts, in.alert(clock))
		}
	}
	for _, in := range b.active {
		at := in.renewAt
		switch {
		case !in.fired:
			at = earlier(in.grewAt.Add(settle), in.seenAt.Add(settleMax))
		case in.moved:
			at = earlier(at, in.movedAt.Add(moveEvery))
		}
		if !clock.Before(at) {
			h.save = h.save || !in.fired || in.moved
			at = clock.Add(renewEvery)
			in.fired, in.moved, in.movedAt, in.renewAt = true, false, clock, at
			h.puts = append(h.puts, in.alert(clock))
		}
		h.next = earlier(h.next, at)
	}
	return h
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// alert is the incident in Alertmanager's form.
func (in *incident) alert(clock time.Time) *amalert.Alert {
	ends := clock.Add(endsAfter)
	if in.resolvedAt != flows.NoTime {
		// A judgement ahead of the wall clock must not leave the alert firing until then.
		ends = earlier(in.resolvedAt.Std(), clock)
	}
	return &amalert.Alert{
		Alert: model.Alert{
			Labels: in.labels, Annotations: in.annotations, StartsAt: earlier(in.startsAt.Std(), ends), EndsAt: ends,
			GeneratorURL: string(in.annotations["link"]),
		},
		UpdatedAt: clock,
		Timeout:   in.resolvedAt == flows.NoTime,
	}
}

// find is the active incident with the id; nil for none.
func (b *book) find(id string) *incident {
	fingerprint, err := model.ParseFingerprint(id)
	if err != nil {
		return nil
	}
	return b.active[fingerprint]
}

// list is what pages show: active, newest first, then resolved, latest first. quiet says
// whether receivers are not told, and which silences are the reason.
func (b *book) list(quiet func(*incident) (bool, []flows.Silence)) []Alert {
	list := make([]Alert, 0, len(b.active)+len(b.resolved))
	for id, in := range b.active {
		a := in.shown(id)
		a.Silenced, a.Silences = quiet(in)
		list = append(list, a)
	}
	slices.SortFunc(list, func(x, y Alert) int {
		return cmp.Or(cmp.Compare(y.StartsAt, x.StartsAt), cmp.Compare(x.ID, y.ID))
	})
	at := make(map[string]int, len(list))
	for i, a := range list {
		at[a.ID] = i
	}
	for _, in := range slices.Backward(b.resolved) {
		a := in.shown(in.labels.Fingerprint())
		if i, back := at[a.ID]; back { // it is shown once, as it is now, with the times before
			list[i].Earlier = append(list[i].Earlier, flows.Episode{StartsAt: a.StartsAt, ResolvedAt: a.ResolvedAt, Ack: a.Ack})
			continue
		}
		at[a.ID] = len(list)
		list = append(list, a)
	}
	return list
}

func (in *incident) shown(id model.Fingerprint) Alert {
	return Alert{
		Cohort: in.cohort, ID: id.String(), Labels: plain(in.labels), Annotations: plain(in.annotations),
		StartsAt: in.startsAt, ResolvedAt: in.resolvedAt, Ack: in.ack, Log: slices.Clone(in.log),
	}
}

// stored is an incident on disk. Labels are kept as they were told.
type stored struct {
	Cohort      flows.Cohort   `json:"cohort"`
	Labels      model.LabelSet `json:"labels"`
	Annotations model.LabelSet `json:"annotations"`
	StartsAt    flows.Time     `json:"starts_at"`
	ResolvedAt  flows.Time     `json:"resolved_at"`
	Told        bool           `json:"told"`
	Ack         flows.Ack      `json:"ack"`

	Log []flows.LogEntry `json:"log"`
}

// load reads what save wrote; a file that is not there is an empty book.
func (b *book) load(file string, clock time.Time) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var incidents []stored
	if err := json.Unmarshal(data, &incidents); err != nil {
		return fmt.Errorf("decode incidents: %w", err)
	}
	for _, s := range incidents {
		in := &incident{
			cohort: s.Cohort, labels: s.Labels, annotations: s.Annotations, startsAt: s.StartsAt, resolvedAt: s.ResolvedAt,
			seenAt: clock, grewAt: clock, fired: true, before: true, told: s.Told, ack: s.Ack, log: s.Log,
		}
		if in.resolvedAt == flows.NoTime {
			b.active[in.labels.Fingerprint()] = in
		} else {
			b.resolved = append(b.resolved, in)
		}
	}
	return nil
}

// save encodes the incidents that somebody was told of, or has.
func (b *book) save() ([]byte, error) {
	incidents := []stored{}
	for _, in := range slices.Concat(b.resolved, slices.Collect(maps.Values(b.active))) {
		if in.fired || in.ack.Given() {
			incidents = append(incidents, stored{in.cohort, in.labels, in.annotations, in.startsAt, in.resolvedAt, in.told, in.ack, in.log})
		}
	}
	return json.Marshal(incidents)
}
