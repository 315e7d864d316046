package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"throughline/flows"
)

const (
	flowsFolder = "flows" // in config_dir

	// A change takes effect within a second: it is noticed at once, or where the system
	// does not tell (a network volume, a folder made later) by the next look; and it is
	// taken once two looks in a row saw the same, so that a file is not read half-written.
	lookEvery   = 400 * time.Millisecond
	settleFor   = 50 * time.Millisecond
	settleAtEnd = 4 // looks after which a file that changes all the time is taken anyhow
)

// rules are the flow files of a config_dir with its keys, calendars and systems, and the
// flows that run because of them. Of a file that was changed for the worse its last good version runs on.
type rules struct {
	configDir string
	log       *slog.Logger
	files     map[string]*ruleFile // by path; of loadRules, then of Watch
	keys      keysFile             // likewise
	refs      refFiles             // likewise
	capable   capabilitiesFile     // likewise
	now       atomic.Pointer[rulesNow]
}

// rulesNow is what is in force at an instant.
type rulesNow struct {
	set     *flows.Set
	keys    *flows.Keys
	naming  flows.Naming
	faults  []flows.Fault
	sources map[string]string // text of the running version by flow
	names   map[string]string // of its file
	drafts  map[string]draft  // by flow, or by the file's name where no version of it ran
	refs    flows.Refs        // what flow files may refer to

	capabilities map[string]*flows.Capability
}

// draft is a file that was refused.
type draft struct{ file, text string }

// watchedFile is the text of a file that is looked at again and again.
type watchedFile struct {
	text  []byte // as taken last; nil where it could not be read
	seen  []byte // as found last
	looks int    // that found something new since it was taken
	gone  bool   // the last look did not find it
}

// ruleFile is one flow file.
type ruleFile struct {
	watchedFile
	parsed *flows.Flow
	faults []flows.Fault // of text
	good   *flows.Flow   // last good version
	source string        // its text
}

// loadRules reads the flow files as they stand. Faults in them are no error, nor is a
// folder that does not exist yet.
func loadRules(configDir string, log *slog.Logger) (*rules, error) {
	r := &rules{configDir: configDir, log: log, files: map[string]*ruleFile{}, refs: refFiles{calendars: map[string]*calendarFile{}}}
	if _, err := r.look(true); err != nil {
		return nil, fmt.Errorf("load flow files: %w", err)
	}
	if _, err := r.settle(); err != nil {
		return nil, fmt.Errorf("load flow files: %w", err)
	}
	return r, nil
}

// Set are the flows that run.
func (r *rules) Set() *flows.Set { return r.now.Load().set }

// Faults are the faults of the files as they stand, with paths below config_dir.
func (r *rules) Faults() []flows.Fault { return r.now.Load().faults }

// System is what systems.yaml says of a system; nil for nothing.
func (r *rules) System(name string) *flows.System { return r.now.Load().refs.Systems[name] }

// Source is the text of the version of a flow that runs; "" where there is no such flow.
func (r *rules) Source(flow string) string { return r.now.Load().sources[flow] }

// File is the file of a flow that runs, below config_dir; "" where there is no such flow.
func (r *rules) File(flow string) string { return r.now.Load().names[flow] }

// Draft is the file of a flow as it stands, where it is refused: its name and its text. Of a
// file that never ran the flow is named as the file. Empty where nothing is refused.
func (r *rules) Draft(flow string) (file, text string) {
	d := r.now.Load().drafts[flow]
	return d.file, d.text
}

// Check says what would be wrong with a text as a flow file.
func (r *rules) Check(file string, text []byte) []flows.Fault {
	_, faults := r.now.Load().refs.Parse(file, text)
	return faults
}

// Watch takes changes of the files until ctx ends, and calls onChange after each that
// changed the set or the faults; the set is the one before where only faults changed.
// It blocks.
func (r *rules) Watch(ctx context.Context, onChange func(*flows.Set)) {
	folder := filepath.Join(r.configDir, flowsFolder)
	watcher, events, errs := r.notifier()
	if watcher != nil {
		defer watcher.Close()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	hurried := false // an event does not put off the look that one before it asked for
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			if !hurried {
				timer.Reset(settleFor)
				hurried = true
			}
			continue
		case err := <-errs:
			r.log.Warn("watch flow files", "error", err) // the next look finds what was missed
			continue
		case <-timer.C:
		}
		if watcher != nil {
			_ = watcher.Add(folder) // it may not exist yet, or again; the looks go on
			_ = watcher.Add(r.configDir)
			_ = watcher.Add(filepath.Join(r.configDir, calendarsFolder))
		}
		open, changed := r.refresh()
		if changed {
			onChange(r.Set())
		}
		wait := lookEvery
		if open {
			wait = settleFor
		}
		timer.Reset(wait)
		hurried = open
	}
}

// refresh looks and settles, and logs what came of it.
func (r *rules) refresh() (open, changed bool) {
	open, err := r.look(false)
	if err != nil {
		r.log.Error("read flow files", "error", err)
	}
	before := r.Faults()
	changed, err = r.settle()
	if err != nil {
		r.log.Error("index flows", "error", err)
	}
	if changed {
		r.log.Info("flow files changed", "flows", len(r.Set().Flows()))
	}
	for _, fault := range r.Faults() {
		if !slices.Contains(before, fault) {
			r.log.Warn("flow file refused", "fault", fault.String())
		}
	}
	return open, changed || !slices.Equal(before, r.Faults())
}

// notifier has nil channels, which never speak, where the system grants none.
func (r *rules) notifier() (*fsnotify.Watcher, chan fsnotify.Event, chan error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		r.log.Warn("watch flow files by looking only", "error", err, "every", lookEvery)
		return nil, nil, nil
	}
	return watcher, watcher.Events, watcher.Errors
}

// look reads the folder. What is new is taken at once, or when two looks found the same;
// open says that something waits for the second.
func (r *rules) look(atOnce bool) (open bool, err error) {
	paths, err := listFlowFiles(filepath.Join(r.configDir, flowsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err // what runs runs on
	}
	changed, open, err := r.refs.look(r.configDir, atOnce)
	if err != nil {
		return false, err
	}
	for _, path := range paths {
		f := r.files[path]
		if f == nil {
			f = &ruleFile{}
			r.files[path] = f
		}
		text, err := readFlowFile(path)
		if errors.Is(err, fs.ErrNotExist) { // between listing and reading
			open = true
			continue
		}
		taken, waits := f.look(text, err, atOnce)
		open = open || waits
		switch {
		case taken:
			f.parse(r.short(path), err, r.refs.refs)
		case changed && f.text != nil:
			f.parse(r.short(path), nil, r.refs.refs)
		}
	}
	for path, f := range r.files {
		if slices.Contains(paths, path) {
			f.gone = false
			continue
		}
		gone, waits := f.missed(atOnce)
		if open = open || waits; gone {
			delete(r.files, path)
		}
	}
	waits := r.capable.look(r.configDir, atOnce)
	return r.keys.look(r.configDir, atOnce) || waits || open, nil
}

// look takes what was found; taken says that it is new, open that it waits for the next
// look.
func (f *watchedFile) look(text []byte, err error, atOnce bool) (taken, open bool) {
	if err != nil {
		f.text, f.seen, f.looks = nil, nil, 0
		return true, false
	}
	if text == nil {
		text = []byte{}
	}
	if f.text != nil && bytes.Equal(text, f.text) {
		f.seen, f.looks = text, 0
		return false, false
	}
	same := f.seen != nil && bytes.Equal(text, f.seen)
	f.seen = text
	if f.looks++; !same && !atOnce && f.looks < settleAtEnd {
		return false, true
	}
	f.text, f.looks = text, 0
	return true, false
}

// missed says that the file was not found; gone is true from the second look on.
func (f *watchedFile) missed(atOnce bool) (gone, open bool) {
	if f.gone || atOnce {
		return true, false
	}
	f.gone = true
	return false, true
}

// parse reads what was taken, or says why it could not be.
func (f *ruleFile) parse(name string, err error, refs flows.Refs) {
	if err != nil {
		f.parsed, f.faults = nil, []flows.Fault{unreadable(name, err)}
		return
	}
	f.parsed, f.faults = refs.Parse(name, f.text)
}

// short is a path as people see it: below config_dir.
func (r *rules) short(path string) string { return flowsFolder + "/" + filepath.Base(path) }

// settle decides which version of which file runs: a name belongs to the file that has
// it already, else to the first in order; a file whose name is taken keeps its last good
// version, if it has one.
func (r *rules) settle() (changed bool, err error) {
	paths := slices.Sorted(maps.Keys(r.files))
	owners, faults := map[string]string{}, append(r.refs.faults(), r.keys.faults...)
	claim := func(path string, flow *flows.Flow) bool {
		if _, taken := owners[flow.Name]; taken {
			return false
		}
		owners[flow.Name] = path
		return true
	}
	for _, path := range paths { // those that run under their name come first
		f := r.files[path]
		if f.good != nil && (f.parsed == nil || f.parsed.Name == f.good.Name) {
			claim(path, f.good)
		}
	}
	for _, path := range paths {
		f := r.files[path]
		faults = append(faults, f.faults...)
		switch {
		case f.parsed == nil || owners[f.parsed.Name] == path:
		case claim(path, f.parsed):
		default:
			faults = append(faults, twice(r.short(path), f.text, f.parsed.Name, r.short(owners[f.parsed.Name])))
			if f.good != nil {
				claim(path, f.good)
			}
		}
	}
	next := &rulesNow{
		faults: faults, sources: map[string]string{}, names: map[string]string{}, drafts: map[string]draft{},
		keys: r.keys.good, refs: r.refs.refs, capabilities: r.capable.good, naming: flows.NewNaming(r.refs.refs.Systems),
	}
	running := make([]*flows.Flow, 0, len(paths))
	for _, path := range paths {
		f := r.files[path]
		if f.parsed != nil && owners[f.parsed.Name] == path {
			f.good, f.source = f.parsed, string(f.text)
		} else {
			next.drafts[f.named(path)] = draft{r.short(path), string(f.text)}
		}
		if f.good == nil || owners[f.good.Name] != path {
			continue
		}
		running = append(running, f.good)
		next.sources[f.good.Name], next.names[f.good.Name] = f.source, r.short(path)
	}
	next.faults = append(next.faults, r.capable.against(running)...)
	return r.put(running, next)
}

// named is the flow that a file is of, as far as that is known.
func (f *ruleFile) named(path string) string {
	if f.good != nil {
		return f.good.Name
	}
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

// put brings flows into force, where they differ from those that are.
func (r *rules) put(running []*flows.Flow, next *rulesNow) (changed bool, err error) {
	slices.SortStableFunc(next.faults, flows.CompareFaults)
	before := r.now.Load()
	if before != nil && before.keys == next.keys && before.naming.Equal(next.naming) && sameFlows(before.set.Flows(), running) {
		next.set = before.set
		r.now.Store(next)
		return false, nil
	}
	set, err := flows.NewKeyedSet(running, next.keys)
	if err != nil {
		return false, err
	}
	next.set = set.Named(next.naming)
	r.now.Store(next)
	return before != nil, nil
}

// sameFlows says that the same versions run; the first slice is sorted by name.
func sameFlows(a, b []*flows.Flow) bool {
	b = slices.SortedFunc(slices.Values(b), func(x, y *flows.Flow) int {
		return bytes.Compare([]byte(x.Name), []byte(y.Name))
	})
	return slices.EqualFunc(a, b, func(x, y *flows.Flow) bool { return x.Name == y.Name && x.Version == y.Version })
}
