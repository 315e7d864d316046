package engine

import (
	"slices"
	"strings"

	"throughline/flows"
)

// Bounds of correlation. What is beyond them is counted in Stats.
const (
	maxPartners = 1000  // of a key; one with more is common, and its links are void
	maxReach    = 10000 // keys visited to find the primaries of one signal
)

// graph knows which keys were seen on one signal together, and the signals that only
// links lead to an instance.
type graph struct {
	nodes map[flows.Key]*node
	round int // of the last visit, so that marks need no clearing
}

type node struct {
	key      flows.Key
	partners []*node
	common   bool
	held     []*held
	mark     int
}

// held is an occurrence whose signal carries link keys only.
type held struct {
	fs         *flowState
	occurrence flows.Occurrence
	keys       []*node
	targets    []string // primary key values of the instances it was given to
}

func newGraph() graph { return graph{nodes: map[flows.Key]*node{}} }

func (g *graph) node(k flows.Key) *node {
	n := g.nodes[k]
	if n == nil {
		k = flows.Key{Type: k.Type, Value: strings.Clone(k.Value)}
		n = &node{key: k}
		g.nodes[k] = n
	}
	return n
}

// link notes that keys belong to the same thing, and places anew the signals that this
// leads elsewhere.
func (g *graph) link(e *Engine, keys []flows.Key) {
	if len(keys) < 2 {
		return
	}
	var touched []*node
	for i, a := range keys {
		for _, b := range keys[:i] {
			if na, nb := g.node(a), g.node(b); g.join(e, na, nb) {
				touched = append(touched, na, nb)
			}
		}
	}
	if len(touched) > 0 {
		e.placeAnew(touched)
	}
}

// join makes two keys partners, and says whether anything changed.
func (g *graph) join(e *Engine, a, b *node) bool {
	few, other := a, b
	if len(b.partners) < len(a.partners) {
		few, other = b, a
	}
	if a.common && b.common || slices.Contains(few.partners, other) {
		return false
	}
	a.partners, b.partners = append(a.partners, b), append(b.partners, a)
	for _, n := range []*node{a, b} {
		if len(n.partners) > maxPartners && !n.common {
			n.common = true
			e.stats.Common++
		}
	}
	return true
}

// walk visits the keys that are reached from a node without going through a primary key
// of the flow or a common key, nearest first, each with its hops. Primary keys are
// visited and not passed.
func (g *graph) walk(f *flows.Flow, from *node, visit func(n *node, hops int) bool) {
	g.round++
	from.mark = g.round
	ring := []*node{from}
	for hops, reached := 0, 0; len(ring) > 0; hops++ {
		var next []*node
		for _, n := range ring {
			if reached++; reached > maxReach || !visit(n, hops) {
				return
			}
			if n.common || n.key.Type == f.Key {
				continue
			}
			for _, p := range n.partners {
				if p.mark != g.round && !p.common && (p.key.Type == f.Key || slices.Contains(f.Links, p.key.Type)) {
					p.mark = g.round
					next = append(next, p)
				}
			}
		}
		ring = next
	}
}

// primaries are the values of the primary keys at the fewest hops from a key.
func (g *graph) primaries(f *flows.Flow, from *node) []string {
	var found []string
	nearest := -1
	g.walk(f, from, func(n *node, hops int) bool {
		if nearest >= 0 && hops > nearest {
			return false
		}
		if n.key.Type == f.Key {
			nearest = hops
			found = append(found, n.key.Value)
		}
		return true
	})
	return found
}

// hold keeps an occurrence whose signal carries link keys only, and gives it to the
// instances they lead to so far.
func (e *Engine) hold(fs *flowState, keys []flows.Key, o flows.Occurrence) {
	h := &held{fs: fs, occurrence: o}
	for _, k := range keys {
		if slices.Contains(fs.flow.Links, k.Type) {
			h.keys = append(h.keys, e.graph.node(k))
		}
	}
	for _, other := range h.keys[0].held {
		if other.fs == fs && other.occurrence.Step == o.Step && identity(&other.occurrence) == identity(&o) {
			h = other // a copy: what it was given to decides which counts
			h.occurrence = smaller(h.occurrence, o)
			e.deliver(h, o)
			return
		}
	}
	for _, n := range h.keys {
		n.held = append(n.held, h)
	}
	e.stats.Waiting++
	e.place1(h)
}

// smaller is the copy that counts.
func smaller(a, b flows.Occurrence) flows.Occurrence {
	if b.Start < a.Start || (b.Start == a.Start && b.Hash < a.Hash) {
		return b
	}
	return a
}

// deliver gives one more copy of a held signal to where the first one went.
func (e *Engine) deliver(h *held, o flows.Occurrence) {
	if len(h.targets) == 0 {
		e.stats.Duplicates++
	}
	for _, key := range h.targets {
		e.insert(h.fs.instance(key), o)
	}
}

// place1 brings one held signal to the instances its keys lead to now, and away from
// those they no longer lead to.
func (e *Engine) place1(h *held) {
	var targets []string
	for _, n := range h.keys {
		targets = append(targets, e.graph.primaries(h.fs.flow, n)...)
	}
	slices.Sort(targets)
	targets = slices.Compact(targets)
	if slices.Equal(targets, h.targets) {
		return
	}
	if len(h.targets) == 0 {
		e.stats.Waiting--
	} else if len(targets) == 0 {
		e.stats.Waiting++
	}
	for _, key := range h.targets {
		if !slices.Contains(targets, key) {
			e.remove(h.fs.instance(key), &h.occurrence)
		}
	}
	for _, key := range targets {
		if !slices.Contains(h.targets, key) {
			e.insert(h.fs.instance(key), h.occurrence)
		}
	}
	h.targets = targets
}

// placeAnew places the held signals that a change at some keys may lead elsewhere.
func (e *Engine) placeAnew(changed []*node) {
	for _, fs := range e.flows {
		if len(fs.flow.Links) == 0 {
			continue
		}
		var affected []*held
		for _, n := range changed {
			e.graph.walk(fs.flow, n, func(n *node, _ int) bool {
				for _, h := range n.held {
					if h.fs == fs {
						affected = append(affected, h)
					}
				}
				return true
			})
		}
		for _, h := range affected {
			e.place1(h)
		}
	}
}

// forget drops the signals held for a flow.
func (g *graph) forget(fs *flowState) {
	for _, n := range g.nodes {
		n.held = slices.DeleteFunc(n.held, func(h *held) bool { return h.fs == fs })
	}
}
