package flows

import (
	"encoding/binary"
	"slices"
	"time"
)

// InstanceRecord is an instance as it is stored and shown: steps by id instead of
// position, so that it outlives the version of the flow that made it.
type InstanceRecord struct {
	Flow    string
	Version string
	Key     string // value of the primary key
	// Environment of the key; "" is the default one. Instances of one key in two
	// environments are different.
	Environment string
	State       State
	Reason      Reason
	ReasonStep  string
	System      string // of ReasonStep
	StuckSince  Time
	StuckFor    time.Duration
	Recovered   bool
	Hold        string
	HeldSince   Time
	HeldUntil   Time
	Reopened    bool
	StartedAt   Time
	FirstAt     Time // start of its first signal, of a hold too
	LastAt      Time
	EndedAt     Time
	EndStep     string
	WaitingOn   []WaitingRecord
	Path        []string
	PathFor     time.Duration // from the first to the last of Path
	Deviations  []Deviation
	Conforming  bool
	Amount      Amount
	Currency    string
	Segments    map[string]string
	AsOf        Time // instant of the verdict
	Imported    bool // made of imported signals only: judged at the import's greatest time
	Deleted     bool // all its signals turned out to belong elsewhere
}

// WaitingRecord is a due step.
type WaitingRecord struct {
	Step     string
	System   string
	DueAt    Time
	Deadline Time // NoTime for none
	Expected int
	Seen     int
}

// OccurrenceRecord is one signal of one instance, as it is stored.
type OccurrenceRecord struct {
	Flow        string
	Key         string // value of the primary key
	Environment string // of the key
	StepID      string // Flow.Position
	Occurrence
	Segments map[string]string // hides Occurrence.Segments
	Expect   map[string]string // hides Occurrence.Expect
	Deleted  bool              // no longer a signal of this instance: a link moved it
}

// Record turns a fold of this flow into what is stored.
func (f *Flow) Record(key string, in *Instance, asOf Time) (r InstanceRecord) {
	f.RecordInto(&r, key, in, asOf)
	return r
}

// usualPath is how many steps a list of them has room for from the first on.
const usualPath = 8

// RecordInto is Record into one whose lists may be written over.
func (f *Flow) RecordInto(r *InstanceRecord, key string, in *Instance, asOf Time) {
	r.Flow, r.Version, r.Key, r.Environment = f.Name, f.Version, key, ""
	r.State, r.Reason, r.ReasonStep, r.System = in.State, in.Reason, "", ""
	r.StuckSince, r.StuckFor, r.Recovered = in.StuckSince, in.StuckFor, in.Recovered
	r.Hold, r.HeldSince, r.HeldUntil, r.Reopened = in.Hold, in.HeldSince, in.HeldUntil, in.Reopened
	r.StartedAt, r.FirstAt, r.LastAt, r.EndedAt, r.EndStep = in.StartedAt, in.FirstAt, in.LastAt, in.EndedAt, ""
	r.PathFor, r.Deviations, r.Conforming = 0, append(r.Deviations[:0], in.Deviations...), in.Conforming
	r.Amount, r.Currency, r.Segments = in.Amount, in.Currency, byName(f.Segments, in.Segments)
	r.AsOf, r.Imported, r.Deleted = asOf, false, false
	if in.ReasonStep >= 0 {
		r.ReasonStep, r.System = f.Steps[in.ReasonStep].ID, f.Steps[in.ReasonStep].System
	}
	if in.EndStep >= 0 {
		r.EndStep = f.Steps[in.EndStep].ID
	}
	r.WaitingOn = slices.Grow(r.WaitingOn[:0], len(in.WaitingOn))
	for _, w := range in.WaitingOn {
		s := &f.Steps[w.Step]
		r.WaitingOn = append(r.WaitingOn, WaitingRecord{s.ID, s.System, w.DueAt, w.Deadline, w.Expected, w.Seen})
	}
	r.Path = slices.Grow(r.Path[:0], max(len(in.Path), min(len(f.Steps), usualPath))) // the next one is longer
	if n := len(in.Times); n > 0 {
		r.PathFor = in.Times[n-1].Sub(in.Times[0])
	}
	for _, s := range in.Path {
		r.Path = append(r.Path, f.Steps[s].ID)
	}
}

// NoRecord is what is stored of an instance that is no more.
func (f *Flow) NoRecord(instanceKey string) InstanceRecord {
	key, environment := SplitInstanceKey(instanceKey)
	return InstanceRecord{
		Flow: f.Name, Version: f.Version, Key: key, Environment: environment, Deleted: true,
		StartedAt: NoTime, FirstAt: NoTime, LastAt: NoTime, EndedAt: NoTime, StuckSince: NoTime, HeldSince: NoTime, HeldUntil: NoTime,
	}
}

// OccurrenceRecord turns an occurrence in this flow into what is stored.
func (f *Flow) OccurrenceRecord(key string, o Occurrence) (r OccurrenceRecord) {
	f.RecordOccurrence(&r, key, &o, nil)
	return r
}

// RecordOccurrence is OccurrenceRecord into any record, of which it leaves Environment and
// Deleted alone. Records that share named
// share their maps, so that nobody may write to these; it may be nil.
func (f *Flow) RecordOccurrence(r *OccurrenceRecord, key string, o *Occurrence, named *Named) {
	r.Flow, r.Key, r.StepID, r.Occurrence = f.Name, key, f.Position(o.Step), *o
	r.Segments, r.Expect = named.values(f.Segments, o.Segments), named.values(f.Expects(), o.Expect)
}

// Named are maps of what many records say alike. The zero value is ready; it is for one
// goroutine.
type Named struct {
	maps map[string]map[string]string // by names and values
	key  []byte
}

// values is byName.
func (n *Named) values(names, values []string) map[string]string {
	const most = 4096 // values that never repeat are not kept forever
	if n == nil {
		return byName(names, values)
	}
	n.key = n.key[:0]
	for i, v := range values {
		if v != "" {
			n.key = append(binary.AppendUvarint(n.key, uint64(len(names[i]))), names[i]...)
			n.key = append(binary.AppendUvarint(n.key, uint64(len(v))), v...)
		}
	}
	if len(n.key) == 0 {
		return nil
	}
	if m, ok := n.maps[string(n.key)]; ok {
		return m
	}
	m := byName(names, values)
	if len(n.maps) >= most || n.maps == nil {
		n.maps = make(map[string]map[string]string)
	}
	n.maps[string(n.key)] = m
	return m
}

// Occurrence is the way back, into this version of the flow; false where the flow no
// longer has the step.
func (f *Flow) Occurrence(r OccurrenceRecord) (Occurrence, bool) {
	o := r.Occurrence
	o.Segments, o.Expect = inOrder(f.Segments, r.Segments), inOrder(f.Expects(), r.Expect)
	at := f.at(r.StepID)
	if at < 0 {
		return o, false
	}
	o.Step = at
	return o, true
}

// byName is what inOrder turns back: the values that are not "" by their names.
func byName(names, values []string) map[string]string {
	var m map[string]string
	for i, v := range values {
		if v == "" {
			continue
		}
		if m == nil {
			m = make(map[string]string, len(values))
		}
		m[names[i]] = v
	}
	return m
}

func inOrder(names []string, values map[string]string) (list []string) {
	for i, name := range names {
		if v := values[name]; v != "" {
			if list == nil {
				list = make([]string, len(names))
			}
			list[i] = v
		}
	}
	return list
}
