package engine

import (
	"throughline/flows"
)

// Where a flow says `reopen: new`, the occurrences of a key may make several instances.
// The first, which fs.instances holds, keeps all of them; the later ones are made of it
// whenever it is judged. What is no longer there stays in the list, empty, so that its
// row is owed once.

// part are the occurrences that the instance of a key itself is made of.
func (in *instance) part(occurrences []flows.Occurrence) []flows.Occurrence {
	if !in.fs.flow.Reopen {
		return occurrences
	}
	return in.fs.flow.Parts(occurrences)[0]
}

// first is the instance of the key that a later one is of; in itself if it is that.
func (in *instance) first() *instance {
	if first := in.fs.firsts[in]; first != nil {
		return first
	}
	return in
}

// judgeLater judges the later instances of a key, as they are now.
func (e *Engine) judgeLater(first *instance, now flows.Time) {
	fs := first.fs
	if !fs.flow.Reopen {
		return
	}
	parts := fs.flow.Parts(first.work.occurrences)[1:]
	for i := range max(len(parts), len(fs.later[first])) {
		if i == len(fs.later[first]) {
			fs.addLater(first, i+1)
		}
		in := fs.later[first][i]
		if in.counted {
			fs.flow.FoldInto(&e.folded, e.names.unpack(in.packed, nil), in.judged)
			fs.gauges.Count(&e.folded, in.judged, -1)
			e.count(in, &e.folded, nil)
			fs.untrack(in, &e.folded)
		}
		if i < len(parts) {
			e.buffer = e.names.pack(e.buffer[:0], parts[i])
			in.packed = packed(e.buffer)
			e.judgeOne(in, parts[i], now, nil)
			continue
		}
		if in.packed != "" {
			in.packed = ""
			e.timers.remove(in)
			e.out.instance(in)
		}
	}
}

func (fs *flowState) addLater(first *instance, part int) {
	value, environment := flows.SplitInstanceKey(first.key)
	in := newInstance(fs, flows.InstanceKey(flows.PartKey(value, part), environment))
	if fs.later == nil {
		fs.later, fs.firsts = map[*instance][]*instance{}, map[*instance]*instance{}
	}
	fs.later[first], fs.firsts[in] = append(fs.later[first], in), first
}

// find is the instance of a key, a later one too; nil where it is not there.
func (fs *flowState) find(id string) *instance {
	if in := fs.instances.get(id); in != nil {
		return in
	}
	value, environment := flows.SplitInstanceKey(id)
	whole, part := flows.PartOf(value)
	later := fs.later[fs.instances.get(flows.InstanceKey(whole, environment))]
	if part == 0 || part > len(later) || later[part-1].packed == "" {
		return nil
	}
	return later[part-1]
}
