package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/flows/store"
	"throughline/ingest/bus"
)

const (
	saveStates = 5 * time.Second // from the end of one save of the engine's state to the next
	saveWork   = 4000            // keys, signals and links that one turn of the loop saves or brings to rest: under 2 ms
	saveTurn   = time.Millisecond
	evictMost  = 200 // components that one turn lets leave memory
	askAgain   = time.Second
	maxParked  = 100_000 // signals that wait for what left memory; beyond it the engine reads no further
)

// Kinds of store.StateRow, and the IDs of those of the frame.
const (
	kindComponent = "component"
	kindEvicted   = "evicted"
	kindName      = "name"
	kindFrame     = "frame"

	frameKey         = 0 // of all hashes, in hex
	frameDefinitions = 1 // those in force, as definitionsOf
	frameRules       = 2 // how keys are read, as rulesOf
)

// saves is where the saving of the engine's state stands.
type saves struct {
	under       bool   // a save is under way
	leaving     bool   // there may be more to leave memory at once
	seq         uint64 // applied when it began
	ended       time.Time
	definitions string // of the last saved frame
}

// saveDue begins a save of the engine's state, goes on with it, brings to rest what is
// quiet, and has leave what ended, or waits among too many.
func (r *runner) saveDue(now time.Time) {
	r.saves.leaving = false
	if r.still || len(r.unfilled) > 0 || r.engine.Owed()-r.engine.Following() > maxOwed/2 {
		return
	}
	if r.engine.Unfit() {
		r.saveUnfit()
		return
	}
	if !r.saves.under && now.Sub(r.saves.ended) >= saveStates {
		r.saves.under, r.saves.seq = true, r.done()
		r.engine.BeginSave()
	}
	if r.saves.under && r.engine.Save(flows.At(now), saveWork) {
		r.saves.under, r.saves.ended = false, now
		r.frameSaved()
		r.writer.save(r.saves.seq)
	}
	if !r.judging() { // that comes first
		r.engine.Rest(flows.At(now), saveWork)
		if r.comparing == nil { // of what left memory nobody finds that its row is lacking
			r.saves.leaving = r.engine.Evict(flows.At(now), evictMost)
		}
	}
}

// frameSaved has the frame written with the states, where it is another than that stored.
func (r *runner) frameSaved() {
	definitions := definitionsOf(r.engine.Set())
	if definitions == r.saves.definitions {
		return
	}
	r.saves.definitions = definitions
	f := r.engine.Frame()
	r.writer.frame = []store.StateRow{
		{Kind: kindFrame, ID: frameKey, Text: fmt.Sprintf("%016x%016x", f.Key[0], f.Key[1])},
		{Kind: kindFrame, ID: frameDefinitions, Text: definitions},
		{Kind: kindFrame, ID: frameRules, Text: rulesOf(r.engine.Set())},
	}
}

// saveUnfit has the next start make the state from the stored signals.
func (r *runner) saveUnfit() {
	if r.saves.definitions != unfit {
		r.saves.definitions = unfit
		for _, f := range r.engine.Flows() {
			r.writer.rollUps.tear(f)
		}
		r.writer.frame = []store.StateRow{
			{Kind: kindFrame, ID: frameDefinitions, Text: unfit},
			{Kind: kindFrame, ID: frameRules, Text: rulesOf(r.engine.Set())},
		}
		r.log.Warn("a primary key became common: the state is not saved any more, and the next start reads all stored signals")
	}
	r.writer.save(r.done())
}

const unfit = "unfit" // no definitions are called so

// definitionsOf tells sets apart that make other states of the same signals.
func definitionsOf(set *flows.Set) string {
	h := sha256.New()
	for _, f := range set.Flows() { // in the order of their names
		fmt.Fprintf(h, "%s\x00%s\x00%s\x00", f.Name, f.Version, set.KeyRules(f))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// rulesOf says by flow how its keys are read.
func rulesOf(set *flows.Set) string {
	lines := make([]string, 0, len(set.Flows()))
	for _, f := range set.Flows() {
		sum := sha256.Sum256([]byte(set.KeyRules(f)))
		lines = append(lines, f.Name+" "+hex.EncodeToString(sum[:]))
	}
	return strings.Join(lines, "\n")
}

// forgetOtherKeys removes the rows of flows whose keys were read otherwise when they were
// written: their instances had other keys.
func (r *runner) forgetOtherKeys(ctx context.Context) error {
	before := ""
	if err := r.store.States(ctx, kindFrame, func(row store.StateRow) error {
		if row.ID == frameRules {
			before = strings.Clone(row.Text)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	now := strings.Split(rulesOf(r.engine.Set()), "\n")
	for _, line := range strings.Split(before, "\n") {
		flow, _, _ := strings.Cut(line, " ")
		if _, ok := r.engine.Set().Flow(flow); !ok || slices.Contains(now, line) {
			continue
		}
		if err := r.store.ForgetFlow(ctx, flow); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	return nil
}

// adopt makes the engine from its saved state; false where there is none for the
// definitions in force.
func (r *runner) adopt(ctx context.Context) (bool, error) {
	frame, definitions, rolled, err := r.frame(ctx)
	if err != nil {
		return false, err
	}
	set := r.engine.Set()
	if definitions != definitionsOf(set) || len(frame.Names) == 0 {
		return false, nil
	}
	e := engine.NewFramed(set, frame)
	e.SpillFrom(spillFrom)
	now := time.Now()
	e.Roll(flows.At(now))
	refused, err := r.adoptStates(ctx, e, r.clock(now))
	if err != nil {
		return false, fmt.Errorf("restore: %w", err)
	}
	if refused != nil {
		r.log.WarnContext(ctx, "the saved state is of another build; the stored signals are read instead", "error", refused)
		return false, nil
	}
	if err := r.store.Left(ctx, func(hash uint64) { e.Left([]uint64{hash}) }); err != nil {
		return false, fmt.Errorf("restore: %w", err)
	}
	if ok, err := r.rollOn(ctx, e, rolled); !ok || err != nil {
		return false, err
	}
	r.engine, r.saves.definitions = e, definitions
	return true, nil
}

// adoptStates has an engine take the saved components while more of them are being read.
func (r *runner) adoptStates(ctx context.Context, e *engine.Engine, clock flows.Time) (refused, err error) {
	batches := make(chan []engine.State, 2)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(batches)
		batch := make([]engine.State, 0, loadBatch)
		if err = r.store.States(ctx, kindComponent, func(row store.StateRow) error {
			if batch = append(batch, engine.State{ID: row.ID, Text: row.Text}); len(batch) == loadBatch {
				batches <- batch
				batch = make([]engine.State, 0, loadBatch)
			}
			return nil
		}); err == nil {
			batches <- batch
		}
	})
	for batch := range batches { // to the end, so that the reader comes to its own
		if refused == nil {
			refused = e.Adopt(batch, clock)
		}
	}
	reading.Wait()
	return refused, err
}

// frame is what the saved states are read with.
func (r *runner) frame(ctx context.Context) (f engine.Frame, definitions, rolled string, err error) {
	err = r.store.States(ctx, kindFrame, func(row store.StateRow) error {
		switch row.ID {
		case frameKey:
			if _, err := fmt.Sscanf(row.Text, "%16x%16x", &f.Key[0], &f.Key[1]); err != nil {
				return fmt.Errorf("read the key of the saved state: %w", err)
			}
		case frameDefinitions:
			definitions = row.Text
		case frameRolled:
			rolled = row.Text
		}
		return nil
	})
	if err == nil {
		err = r.store.States(ctx, kindName, func(row store.StateRow) error {
			if row.ID != uint64(len(f.Names)) {
				definitions = "" // a name is lacking
			}
			f.Names = append(f.Names, strings.Clone(row.Text))
			return nil
		})
	}
	if err != nil {
		return f, "", "", fmt.Errorf("restore: %w", err)
	}
	return f, definitions, rolled, nil
}

// done is the last message of which nothing waits for what left memory.
func (r *runner) done() uint64 {
	if r.parked.waits() {
		return r.parked.from
	}
	return r.applied
}

// parked are signals that wait for components that left memory.
type parked struct {
	from     uint64 // applied before the first of them came
	looking  []flows.Signal
	next     []flows.Signal
	answers  chan answer
	again    time.Time // when the store is asked again, where it did not answer
	waitsLog bool
}

type answer struct {
	hashes []uint64 // that were asked for
	states []engine.State
	err    error
}

func (p *parked) waits() bool { return len(p.looking)+len(p.next) > 0 }

// park applies the signals of a delivery but those that need what left memory.
func (r *runner) park(d bus.Delivery, clock flows.Time) {
	if !r.parked.waits() {
		r.parked.from = r.applied
	}
	ready := make([]flows.Signal, 0, len(d.Signals))
	for i := range d.Signals {
		if r.engine.Missing(d.Signals[i:i+1]) == nil {
			ready = append(ready, d.Signals[i])
		} else {
			r.parked.next = append(r.parked.next, d.Signals[i].Owned()) // the delivery's memory is used again
		}
	}
	r.engine.Apply(ready, clock)
}

// lookDue asks the store for what the parked signals need, in the background.
func (r *runner) lookDue(ctx context.Context, now time.Time) {
	p := &r.parked
	if len(p.looking) > 0 && now.Before(p.again) || len(p.looking) == 0 && len(p.next) == 0 || r.looking {
		return
	}
	if len(p.looking) == 0 {
		p.looking, p.next = p.next, nil
	}
	hashes := r.engine.Missing(p.looking)
	r.looking = true
	r.lookups.Go(func() {
		states, err := r.evicted(ctx, hashes)
		p.answers <- answer{hashes, states, err}
	})
}

// evicted are the components that left memory and are found by some hashes.
func (r *runner) evicted(ctx context.Context, hashes []uint64) ([]engine.State, error) {
	if len(hashes) == 0 {
		return nil, nil
	}
	rows, err := r.store.Evicted(ctx, hashes)
	if err != nil {
		return nil, err //nolint:wrapcheck // says what it did
	}
	states := make([]engine.State, len(rows))
	for i, row := range rows {
		states[i] = engine.State{ID: row.ID, Text: row.Text}
	}
	return states, nil
}

// answered puts what came back into the engine, and applies what waited for it.
func (r *runner) answered(a answer) {
	p := &r.parked
	r.looking = false
	now := time.Now()
	if a.err != nil {
		p.again = now.Add(askAgain)
		if !p.waitsLog {
			p.waitsLog = true
			r.log.Warn("signals of ended instances wait for the store", "signals", len(p.looking), "error", a.err)
		}
		return
	}
	p.waitsLog = false
	r.takeBack(a.states, flows.At(now))
	r.engine.Asked(a.hashes)
	signals := p.looking
	p.looking = nil
	r.engine.Apply(signals, r.clock(now))
}

// takeBack puts components that left memory back. One that this build cannot read, or of
// a flow whose file has another shape now, stays where it is: what comes late for it makes
// an instance anew.
func (r *runner) takeBack(states []engine.State, now flows.Time) {
	if err := r.engine.Return(states, now); err != nil {
		r.log.Warn("an ended instance could not be taken back for a late signal", "error", err)
	}
}
