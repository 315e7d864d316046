package engine

import "throughline/flows"

// large is an instance of many occurrences as the last settle left it. The next signal of
// it, of which there are likely more, then costs no unpacking of all that it has, and no
// fold of what it was.
type large struct {
	packed packed // what occurrences are in work, as long as the instance has this
	work   *work
}

// largeFrom is where keeping an instance unpacked costs less than unpacking it.
const largeFrom = 32

// folding says of what, and for when, work.counted is the fold; the zero value for nothing.
type folding struct {
	flow *flows.Flow
	at   flows.Time
}

// keepLarge keeps the work of an instance that is put to rest; false where it is none of
// many occurrences.
func (e *Engine) keepLarge(in *instance, w *work) bool {
	room := cap(w.occurrences)
	if len(w.occurrences) <= e.limits.large || in.cell != 0 || room > maxSpare {
		return false
	}
	if e.largeRoom+room > maxSpare {
		e.forgetLarge()
	}
	if e.large == nil {
		e.large = map[*instance]large{}
	}
	w.dirty, w.kept = false, 0
	e.large[in] = large{in.packed, w}
	e.largeRoom += room
	return true
}

// openLarge is the work that was kept of an instance; nil for none.
func (e *Engine) openLarge(in *instance) *work {
	l, ok := e.large[in]
	if !ok {
		return nil
	}
	delete(e.large, in)
	e.largeRoom -= cap(l.work.occurrences)
	if in.cell != 0 || l.packed != in.packed {
		return nil
	}
	in.work = l.work
	e.opened = append(e.opened, in)
	return in.work
}

// forgetLarge gives up what was kept. Each save calls it, so that nothing is kept for long.
func (e *Engine) forgetLarge() { e.large, e.largeRoom = nil, 0 }

// keepFold keeps the fold of an instance of many occurrences that was judged just now.
func (e *Engine) keepFold(in *instance, occurrences []flows.Occurrence) {
	if w := in.work; w != nil && len(occurrences) > e.limits.large && !in.fs.flow.Reopen {
		w.counted, e.folded = e.folded, w.counted
		w.folding = folding{in.fs.flow, in.judged}
	}
}
