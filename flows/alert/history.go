package alert

import (
	"bytes"
	"slices"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/encoding/protodelim"

	"throughline/flows"
)

// maxLog bounds an incident's log. Of a longer one the first entry stays, who was told when
// it began, and those behind it are forgotten.
const maxLog = 100

// enter keeps the log in the order of time: a notification is learnt of a little later.
func (in *incident) enter(e flows.LogEntry) {
	if len(in.log) == maxLog {
		in.log = slices.Delete(in.log, 1, 2)
	}
	at := len(in.log)
	for at > 0 && in.log[at-1].At > e.At {
		at--
	}
	in.log = slices.Insert(in.log, at, e)
}

// enter adds to the log of a firing alert.
func (r *Router) enter(id string, e flows.LogEntry) {
	r.mu.Lock()
	if in := r.book.find(id); in != nil {
		in.enter(e)
	}
	r.mu.Unlock()
	r.saver.mark(incidentsFile)
}

// tellings are notifications that were sent and are in no incident's log yet. The
// notification log calls add with its own lock held, so it only takes note.
type tellings struct {
	mu   sync.Mutex
	list [][]byte
}

// maxTellings bounds what waits; it is emptied whenever the router wakes.
const maxTellings = 10_000

func (t *tellings) add(entry []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.list) < maxTellings {
		t.list = append(t.list, entry)
	}
}

func (t *tellings) take() [][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.list
	t.list = nil
	return list
}

// noteTellings writes notifications into the logs of the incidents that they were about.
func (r *Router) noteTellings() {
	list := r.tellings.take()
	if len(list) == 0 {
		return
	}
	r.mu.Lock()
	byHash := make(map[uint64]*incident, len(r.book.active)+len(r.book.resolved))
	for _, in := range r.book.resolved {
		byHash[labelsHash(in.labels)] = in
	}
	for _, in := range r.book.active {
		byHash[labelsHash(in.labels)] = in
	}
	for _, raw := range list {
		var entry nflogpb.MeshEntry
		if err := protodelim.UnmarshalFrom(bytes.NewReader(raw), &entry); err != nil {
			r.opts.Log.Error("read what receivers were told", "err", err)
			continue
		}
		e := entry.Entry
		for what, hashes := range map[flows.LogWord][]uint64{flows.LogTold: e.FiringAlerts, flows.LogToldResolved: e.ResolvedAlerts} {
			for _, hash := range hashes {
				if in := byHash[hash]; in != nil {
					in.enter(flows.LogEntry{At: flows.At(e.Timestamp.AsTime()), What: what, By: e.Receiver.GetGroupName(), Note: e.Receiver.GetIntegration(), Until: flows.NoTime})
				}
			}
		}
	}
	r.mu.Unlock()
	r.saver.mark(incidentsFile)
}

// labelsHash is the name that Alertmanager's notification log gives an alert.
func labelsHash(labels model.LabelSet) uint64 {
	const sep = '\xff'
	names := make([]model.LabelName, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	slices.Sort(names)
	var b []byte
	for _, name := range names {
		b = append(append(append(append(b, name...), sep), labels[name]...), sep)
	}
	return xxhash.Sum64(b)
}
