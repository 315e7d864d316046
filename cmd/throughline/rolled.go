package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"slices"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/flows/store"
)

// The roll-ups are told differences, each once. What goes with the states of a save is kept
// with them, in the same insert, and then added under a token of its own: after a crash
// between the two it is there to be added again, and the token keeps it from counting twice.

const (
	kindRolled  = "rolled" // the differences that were told last
	frameRolled = 3        // which generations count

	rolledSlice = 200_000 // rows an insert
)

// rollUps is what counts of the roll-ups that are stored.
type rollUps struct {
	generations map[string]store.RollUpGeneration // by flow
	torn        []store.RollUpGeneration          // to be told before anything else is written
	ran         map[flowVersion]bool              // that were in force at some time
	again       map[string]bool                   // flows whose version in force was so before
	living      map[string][]uint64               // of flows that began anew: their generation, and the one before it, which somebody may be reading; of those gone, none
}

type flowVersion struct{ flow, version string }

// inForce notes that a version of a flow is in force from now on.
func (u *rollUps) inForce(flow, version string) {
	if u.ran == nil {
		u.ran, u.again = map[flowVersion]bool{}, map[string]bool{}
	}
	u.again[flow] = u.ran[flowVersion{flow, version}]
	u.ran[flowVersion{flow, version}] = true
	u.tear(flow)
}

// tear says that the roll-ups of a flow do not hold all that they should: until they begin
// anew its numbers are folded.
func (u *rollUps) tear(flow string) {
	if g, ok := u.generations[flow]; ok && g.Whole {
		g.Whole = false
		u.generations[flow] = g
		u.torn = append(u.torn, g)
	}
}

// gone has the roll-ups of a flow removed whose file is gone: nobody can ask for them, and
// they begin anew should it come back.
func (u *rollUps) gone(flow string) {
	if _, ok := u.generations[flow]; !ok {
		return
	}
	u.tear(flow)
	delete(u.generations, flow)
	u.die(flow, nil)
}

// die has all roll-ups of a flow removed but those of the generations that live.
func (u *rollUps) die(flow string, living []uint64) {
	if u.living == nil {
		u.living = map[string][]uint64{}
	}
	u.living[flow] = living
}

// take is what a job writes: the differences, and the generations where these changed.
// Where a version is in force again, instances that ended under it before keep it, and are
// not in the roll-ups.
func (u *rollUps) take(rolled []engine.Rolled, version uint64) (rows []store.RollUpRow, generations []store.RollUpGeneration) {
	changed := len(u.torn) > 0
	for _, r := range rolled {
		if r.Anew {
			if u.generations == nil {
				u.generations = map[string]store.RollUpGeneration{}
			}
			u.die(r.Flow, []uint64{version, u.generations[r.Flow].Generation})
			u.generations[r.Flow] = store.RollUpGeneration{Flow: r.Flow, Generation: version, Version: r.Version, Whole: !u.again[r.Flow]}
			changed = true
		}
		generation := u.generations[r.Flow].Generation
		if generation == 0 { // of before its file was gone
			continue
		}
		rows = slices.Grow(rows, len(r.Changes))
		for _, change := range r.Changes {
			rows = append(rows, store.RollUpRow{Flow: r.Flow, Generation: generation, RollUp: change})
		}
	}
	if changed {
		generations = u.list()
	}
	return rows, generations
}

func (u *rollUps) list() []store.RollUpGeneration {
	list := make([]store.RollUpGeneration, 0, len(u.generations)) // none are a list too
	for _, g := range u.generations {
		list = append(list, g)
	}
	return list
}

// rolledStates are what a job's differences, and the generations that count with them, are
// kept as beside the states.
func (j *job) rolledStates() (states []store.StateRow, err error) {
	if j.generations != nil {
		text, err := json.Marshal(j.generations)
		if err != nil {
			return nil, fmt.Errorf("write generations of roll-ups: %w", err)
		}
		states = append(states, store.StateRow{Kind: kindFrame, ID: frameRolled, Text: string(text)})
	}
	i := uint64(0)
	for part := range slices.Chunk(j.rolled, rolledSlice) {
		text := bytes.NewBuffer(binary.BigEndian.AppendUint64(nil, j.version))
		if err := gob.NewEncoder(text).Encode(part); err != nil {
			return nil, fmt.Errorf("write roll-ups: %w", err)
		}
		states = append(states, store.StateRow{Kind: kindRolled, ID: i, Text: text.String()})
		i++
	}
	return states, nil
}

// rollUp adds the differences, once they are kept.
func (w *rowWriter) rollUp(ctx context.Context, rows []store.RollUpRow, version uint64) error {
	i := 0
	for part := range slices.Chunk(rows, rolledSlice) {
		if err := w.store.WriteRollUps(ctx, fmt.Sprintf("rollups:%d:%d", version, i), part); err != nil {
			return err //nolint:wrapcheck // says what it did
		}
		i++
	}
	return nil
}

// rollOn goes on from the roll-ups that are stored: adds what the process before may not
// have come to add, and says again what counts. False where nothing is known of them.
func (r *runner) rollOn(ctx context.Context, e *engine.Engine, frame string) (bool, error) {
	var list []store.RollUpGeneration
	if frame == "" || json.Unmarshal([]byte(frame), &list) != nil {
		return false, nil
	}
	u := &r.writer.rollUps
	u.generations, u.torn = map[string]store.RollUpGeneration{}, nil
	for _, g := range list {
		u.generations[g.Flow] = g
	}
	for _, f := range e.Set().Flows() {
		if u.generations[f.Name].Version != f.Version {
			return false, nil
		}
	}
	stored, err := r.store.RollUpGenerations(ctx)
	if err != nil {
		return false, fmt.Errorf("restore: %w", err)
	}
	for _, g := range stored {
		if g.Generation == u.generations[g.Flow].Generation && !g.Whole {
			u.tear(g.Flow)
		}
	}
	u.torn = nil // they are told here
	rows, version, err := r.lastRolled(ctx)
	if err != nil {
		return false, err
	}
	if err := r.writer.rollUp(ctx, rows, version); err != nil {
		return false, fmt.Errorf("restore: %w", err)
	}
	if err := r.store.WriteRollUpGenerations(ctx, r.writer.version, u.list()); err != nil {
		return false, fmt.Errorf("restore: %w", err)
	}
	living := map[string][]uint64{} // nobody reads another in this process
	for _, g := range list {
		living[g.Flow] = []uint64{g.Generation}
	}
	if err := r.store.ForgetDeadRollUps(ctx, living); err != nil {
		r.log.WarnContext(ctx, "roll-ups that count no more stay until the next start", "error", err)
	}
	e.RollOn()
	return true, nil
}

// lastRolled are the differences that were kept last, and the version of their job.
func (r *runner) lastRolled(ctx context.Context) (rows []store.RollUpRow, version uint64, err error) {
	err = r.store.States(ctx, kindRolled, func(row store.StateRow) error {
		if len(row.Text) < 8 {
			return fmt.Errorf("kept roll-ups: %d bytes", len(row.Text))
		}
		of := binary.BigEndian.Uint64([]byte(row.Text))
		if of < version || row.ID > 0 && of != version { // of an earlier and larger job
			return nil
		}
		if of > version {
			rows, version = nil, of
		}
		var part []store.RollUpRow
		if err := gob.NewDecoder(bytes.NewBufferString(row.Text[8:])).Decode(&part); err != nil {
			return fmt.Errorf("kept roll-ups: %w", err)
		}
		rows = append(rows, part...)
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("restore: %w", err)
	}
	return rows, version, nil
}

// noteRan learns which versions were in force before this process.
func (r *runner) noteRan(ctx context.Context) error {
	u := &r.writer.rollUps
	err := r.store.RanVersions(ctx, func(flow, version string) { u.ran[flowVersion{flow, version}] = true })
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

// inForce are those of some instances that are of the version in force.
func (j *job) inForce(records []flows.InstanceRecord) (ids []engine.InstanceID) {
	for i := range records {
		r := &records[i]
		if f, ok := j.set.Flow(r.Flow); ok && f.Version == r.Version {
			ids = append(ids, engine.InstanceID{Flow: r.Flow, Key: flows.InstanceKey(r.Key, r.Environment)})
		}
	}
	return ids
}

// tearMoved notes what the roll-ups do not hold of instances that kept another version: of
// those that are to be folded by that in force from now on.
func (w *rowWriter) tearMoved(ids []engine.InstanceID) {
	for _, id := range ids {
		w.rollUps.tear(id.Flow)
	}
}
