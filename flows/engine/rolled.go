package engine

import (
	"maps"
	"slices"

	"throughline/flows"
)

// Rolled are the differences of a flow's roll-ups that go with the states of a save: what
// the stored states contribute more, or less, than those stored before. So a restart from
// the states, which goes on from what they are, goes on from what the roll-ups say too,
// whatever else was or was not written.
type Rolled struct {
	Flow    string
	Version string
	Anew    bool // they are all there is: what was said before of the flow does not count any more
	Changes []flows.RollUp
}

// rolling is how far the roll-ups speak of the instances: of each as it is in its saved
// state, but for those in base.
type rolling struct {
	base          map[*instance]packed // occurrences that the roll-ups hold, of instances that changed since
	vanished      []vanished           // since the save under way began
	leftVanished  []vanished
	in            flows.Instance // scratch
	before, after []flows.Occurrence
}

// vanished is an instance that is no more, with the occurrences that the roll-ups hold.
type vanished struct {
	fs *flowState
	packed
}

// noteBase notes what the roll-ups hold of an instance that is about to change for the
// first time since it was saved.
func (e *Engine) noteBase(in *instance) {
	if in.touched == savedRound && in.packed != "" && !in.kept {
		e.rolling.base[in] = in.packed
	}
}

// roll has the roll-ups hold the instances of a component as they are saved now. It is
// called before the component is marked as saved.
func (e *Engine) roll(m *members) {
	for _, in := range m.instances {
		if in.touched == savedRound || in.cell != 0 || in.kept {
			continue
		}
		e.rollChange(in.fs, e.rolling.base[in], in.packed)
	}
}

// rolled notes what the roll-ups hold, once the component is marked.
func (e *Engine) rolledTo(m *members) {
	for _, in := range m.instances {
		switch {
		case in.touched == savedRound || in.kept:
			delete(e.rolling.base, in)
		case in.cell == 0:
			e.rolling.base[in] = in.packed
		}
	}
}

func (e *Engine) rollChange(fs *flowState, before, after packed) {
	r := &e.rolling
	if before == after {
		return
	}
	r.before, r.after = e.names.unpack(before, r.before[:0]), e.names.unpack(after, r.after[:0])
	fs.rolled.Change(&r.in, r.before, r.after)
}

// rollVanished has an instance that is no more taken from the roll-ups by the next save.
func (e *Engine) rollVanished(in *instance) {
	if held := e.rolling.base[in]; held != "" {
		e.rolling.vanished = append(e.rolling.vanished, vanished{in.fs, held})
		e.save.again = true // a save under way may have it, or not
	}
	delete(e.rolling.base, in)
}

// rollAnew has the roll-ups of a flow begin anew, by another version of it.
func (e *Engine) rollAnew(fs *flowState, f *flows.Flow) {
	fs.rolled, fs.rolledAnew = flows.NewRollUps(f), true
	of := func(v vanished) bool { return v.fs == fs }
	r := &e.rolling
	r.vanished, r.leftVanished = slices.DeleteFunc(r.vanished, of), slices.DeleteFunc(r.leftVanished, of)
	e.rollNoMore(fs)
}

// rollAll has the roll-ups hold an instance whose flow begins anew, with the occurrences
// that it was last put to rest with.
func (e *Engine) rollAll(in *instance, occurrences []flows.Occurrence) {
	in.fs.rolled.Change(&e.rolling.in, nil, occurrences)
	if in.touched != savedRound && in.packed != "" {
		e.rolling.base[in] = in.packed
	}
}

// rollNoMore forgets what the roll-ups held of the instances of a flow.
func (e *Engine) rollNoMore(fs *flowState) {
	maps.DeleteFunc(e.rolling.base, func(in *instance, _ packed) bool { return in.fs == fs })
}

// takeRolled owes the differences with the states of a save that is done.
func (e *Engine) takeRolled() {
	r := &e.rolling
	for _, v := range r.leftVanished {
		e.rollChange(v.fs, v.packed, "")
	}
	r.leftVanished = nil
	for _, name := range e.Flows() {
		fs := e.flows[name]
		if fs.rolled.Empty() && !fs.rolledAnew {
			continue
		}
		if fs.rolledAnew {
			e.out.rolled = slices.DeleteFunc(e.out.rolled, func(r Rolled) bool { return r.Flow == name })
		}
		if changes := fs.rolled.Take(); len(changes) > 0 || fs.rolledAnew {
			e.out.rolled = append(e.out.rolled, Rolled{name, fs.flow.Version, fs.rolledAnew, changes})
		}
		fs.rolledAnew = false
	}
}

// RollOn says that the roll-ups of all flows go on from what is stored, as those do that
// Adopt was given the states of.
func (e *Engine) RollOn() {
	for _, fs := range e.flows {
		fs.rolledAnew = false
	}
}
