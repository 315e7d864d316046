package engine

import (
	"cmp"
	"slices"
	"strings"

	"throughline/flows"
)

// Bounds of correlation. What is beyond them is counted in Stats. The first two are part
// of what a link is, so that the instances found depend on the signals alone; the third
// bounds the work that one signal can make.
const (
	maxHops     = 64      // links followed from a key to a primary key
	maxReach    = 10_000  // links looked at to find the primary keys of one key; beyond, it has none
	maxAffected = 100_000 // links looked at to find the signals that changed keys may lead elsewhere,
	perChanged  = 1_000   // and so many more for each of these keys
)

// nodeID is a position in graph.nodes; 0 is none.
type nodeID uint32

// graph knows which keys were seen on one signal together, and which signals hang on
// them. It holds what counts: a link is there while a signal that counts carries it.
type graph struct {
	nodes   [][]node // in chunks, so that growing copies nothing
	last    nodeID
	free    []nodeID
	byKey   table
	hasher  hasher
	classes []class
	classOf map[classID]uint32
	many    map[nodeID][]edge // of the nodes with more than few partners, sorted
	touched []nodeID          // changed since the last flush
	work    int               // keys and links looked at since the last flush
	round   uint32            // of the last walk, so that marks need no clearing
	ring    [2][]nodeID       // scratch of walk
	merged  []edge            // scratch of join
}

const (
	nodeChunk = 1 << 10
	few       = 2 // partners kept in the node itself
)

// node is a key that links or hangs. Three of them come with a typical instance.
type node struct {
	value    string
	class    uint32
	mark     uint32 // round of the last walk that was here
	partners [few]edge
	held     *held  // the only signal that hangs here
	hung     *hung  // else all of them
	refs     uint32 // records that name it
	touched  uint32 // save round of the last change
	instance uint32 // a guess: the number of an instance of this key, plus 1
	common   bool   // has more partners than its class allows: its links are void, and forgotten here
	crowded  bool   // partners are in graph.many
}

// edge leads to a key that stands on a signal together with another.
type edge struct {
	to    nodeID
	count uint32 // signals that carry both
}

// class is what the keys of one type within one environment share.
type class struct {
	classID
	salt  uint64 // of the hashes of its values
	limit int    // partners
}

type classID struct{ environment, typ string }

// fewClasses are looked through before the map is asked, which takes longer.
const fewClasses = 8

func newGraph(h hasher) graph {
	return graph{
		hasher: h, classes: make([]class, 1), classOf: map[classID]uint32{}, many: map[nodeID][]edge{},
	}
}

func (g *graph) at(id nodeID) *node { return &g.nodes[id/nodeChunk][id%nodeChunk] }

func (g *graph) class(set *flows.Set, environment, typ string) uint32 {
	for c := 1; c < min(len(g.classes), fewClasses); c++ {
		if g.classes[c].typ == typ && g.classes[c].environment == environment {
			return uint32(c)
		}
	}
	id := classID{environment, typ}
	if c, ok := g.classOf[id]; ok {
		return c
	}
	limit := flows.DefaultPartners
	if t, ok := set.KeyTypeInUse(typ); ok {
		limit = t.Partners
	}
	id = classID{strings.Clone(environment), strings.Clone(typ)}
	g.classes = append(g.classes, class{id, g.hasher.text(g.hasher.text(0, environment), typ), limit})
	g.classOf[id] = uint32(len(g.classes) - 1)
	return g.classOf[id]
}

func (g *graph) hash(class uint32, value string) uint64 {
	return g.hasher.text(g.classes[class].salt, value)
}

// lookup returns the node of a key, 0 where there is none.
func (g *graph) lookup(hash uint64, class uint32, value string) nodeID {
	e := g.byKey.find(hash, func(e *entry) bool {
		n := g.at(nodeID(e.ref))
		return n.class == class && n.value == value
	})
	if e == nil {
		return 0
	}
	return nodeID(e.ref)
}

// add makes the node of a key that has none.
func (g *graph) add(hash uint64, class uint32, value string) nodeID {
	var id nodeID
	if last := len(g.free) - 1; last >= 0 {
		id, g.free = g.free[last], g.free[:last]
	} else {
		g.last++
		if id = g.last; int(id/nodeChunk) == len(g.nodes) {
			g.nodes = append(g.nodes, make([]node, nodeChunk))
		}
	}
	*g.at(id) = node{value: strings.Clone(value), class: class}
	g.byKey.add(entry{hash: hash, ref: uint32(id)})
	return id
}

// remove forgets a key that nothing refers to any more.
func (g *graph) remove(id nodeID) {
	n := g.at(id)
	g.byKey.remove(g.byKey.find(g.hash(n.class, n.value), func(e *entry) bool { return e.ref == uint32(id) }))
	delete(g.many, id)
	*n = node{}
	g.free = append(g.free, id)
}

// partners are the keys linked to one; those that are common among them.
func (g *graph) partners(id nodeID, n *node) []edge {
	if n.crowded {
		return g.many[id]
	}
	used := 0
	for used < few && n.partners[used].to != 0 {
		used++
	}
	return n.partners[:used]
}

// link notes that keys, sorted and without repeats, stand on one signal together.
func (g *graph) link(e *Engine, keys []nodeID) {
	for _, id := range keys {
		if n := g.at(id); !n.common {
			g.join(e, id, n, keys)
		}
	}
}

// join adds to the partners of a key the others of its signal.
func (g *graph) join(e *Engine, id nodeID, n *node, keys []nodeID) {
	list := g.partners(id, n)
	fresh := 0
	for _, other := range keys {
		if other == id {
			continue
		}
		if i, ok := slices.BinarySearchFunc(list, other, compareEdge); ok {
			list[i].count++
		} else {
			fresh++
		}
	}
	if fresh == 0 {
		return
	}
	g.touched = append(g.touched, id)
	merged := g.merged[:0]
	for _, other := range keys { // both are sorted
		for len(list) > 0 && list[0].to < other {
			merged, list = append(merged, list[0]), list[1:]
		}
		switch {
		case other == id:
		case len(list) > 0 && list[0].to == other:
			merged, list = append(merged, list[0]), list[1:]
		default:
			merged = append(merged, edge{other, 1})
		}
	}
	g.merged = append(merged, list...)
	g.keep(id, n, g.merged)
	if len(g.merged) > g.classes[n.class].limit {
		g.void(e, id, n)
	}
}

func compareEdge(a edge, id nodeID) int { return cmp.Compare(a.to, id) }

// keep sets the partners of a key to a copy of a list.
func (g *graph) keep(id nodeID, n *node, list []edge) {
	if len(list) > few {
		g.many[id] = append(g.many[id][:0], list...)
		n.crowded = true
		return
	}
	if n.crowded {
		delete(g.many, id)
		n.crowded = false
	}
	n.partners = [few]edge{}
	copy(n.partners[:], list)
}

// void makes a key common: nothing is reached through it, and its partners are forgotten.
// Its partners still count it as one of theirs.
func (g *graph) void(e *Engine, id nodeID, n *node) {
	around := []nodeID{id} // a primary key is not walked through
	for _, p := range g.partners(id, n) {
		around = append(around, p.to)
	}
	e.affect(around, false)
	for _, id := range around { // they may be apart now, and the traces that its signals stand in
		e.touchPart(part{nodePart, uint32(id)})
	}
	e.save.unfit = e.save.unfit || len(e.flowsOf(n.class)) > 0
	n.common = true
	g.hanging(id, func(h *held) { e.touchSignal(h.sig) })
	g.keep(id, n, nil)
	e.noteCommon(n)
}

// unlink takes back what one signal linked. A key that became common stays so.
func (g *graph) unlink(keys []nodeID) {
	for _, id := range keys {
		n := g.at(id)
		if n.common {
			continue
		}
		list := g.partners(id, n)
		gone := false
		for _, other := range keys {
			if i, ok := slices.BinarySearchFunc(list, other, compareEdge); ok {
				list[i].count--
				gone = gone || list[i].count == 0
			}
		}
		if gone {
			g.touched = append(g.touched, id)
			g.keep(id, n, slices.DeleteFunc(slices.Clone(list), func(e edge) bool { return e.count == 0 }))
		}
	}
}

// role is what keys of a class are to a flow.
type role uint8

const (
	roleNone role = iota + 1
	roleLink
	rolePrimary
)

// role of a class; what was found is kept.
func (fs *flowState) role(g *graph, class uint32) role {
	for int(class) >= len(fs.roles) {
		typ, r := g.classes[len(fs.roles)].typ, roleNone
		switch {
		case typ == fs.flow.Key:
			r = rolePrimary
		case slices.Contains(fs.flow.Links, typ):
			r = roleLink
		}
		fs.roles = append(fs.roles, r)
	}
	return fs.roles[class]
}

// walk visits the keys that are reached from some without going through a primary key of
// the flow or a common key, nearest first, each once with its hops. Primary keys are
// visited and not passed. It goes maxHops far, and looks at most links; it visits all keys
// of the same hops or none.
func (g *graph) walk(fs *flowState, from []nodeID, most int, visit func(id nodeID, hops int) bool) walked {
	g.round++
	ring, next := g.ring[0][:0], g.ring[1][:0]
	for _, id := range from {
		if n := g.at(id); n.mark != g.round && fs.role(g, n.class) != roleNone {
			n.mark = g.round
			ring = append(ring, id)
		}
	}
	defer func() { g.ring = [2][]nodeID{ring, next} }()
	for hops := 0; len(ring) > 0; hops++ {
		for _, id := range ring {
			if !visit(id, hops) {
				return walkedAll
			}
		}
		links := g.links(fs, ring)
		if most -= links; most < 0 {
			return walkedTooMany
		}
		if hops == maxHops && links > 0 {
			return walkedTooFar
		}
		next = next[:0]
		for _, id := range ring {
			n := g.at(id)
			if n.common || fs.role(g, n.class) != roleLink {
				continue
			}
			for _, p := range g.partners(id, n) {
				if n := g.at(p.to); n.mark != g.round && !n.common && fs.role(g, n.class) != roleNone {
					n.mark = g.round
					next = append(next, p.to)
				}
			}
		}
		ring, next = next, ring
	}
	return walkedAll
}

// walked says why a walk ended.
type walked uint8

const (
	walkedAll     walked = iota // or as far as was asked
	walkedTooFar                // there is more beyond maxHops
	walkedTooMany               // there are more links than may be looked at
)

// links is how many links are looked at to go on from some keys.
func (g *graph) links(fs *flowState, ring []nodeID) (sum int) {
	for _, id := range ring {
		if n := g.at(id); !n.common && fs.role(g, n.class) == roleLink {
			sum += len(g.partners(id, n))
		}
	}
	g.work += sum + len(ring)
	return sum
}

// nearPrimaries is primaries for a link key that has some among its partners, as most do;
// false for others.
func (g *graph) nearPrimaries(fs *flowState, from nodeID, found []nodeID) ([]nodeID, bool) {
	n, before := g.at(from), len(found)
	if n.common || fs.role(g, n.class) != roleLink {
		return found, false
	}
	partners := g.partners(from, n)
	if len(partners) > maxReach {
		return found, false
	}
	for _, p := range partners {
		if n := g.at(p.to); !n.common && fs.role(g, n.class) == rolePrimary {
			found = append(found, p.to)
		}
	}
	g.work += len(partners) + 1
	return found, len(found) > before
}

// primaries appends the primary keys at the fewest hops from a key; far says that there
// may be some beyond the bounds, which do not count.
func (g *graph) primaries(fs *flowState, from nodeID, found []nodeID) (_ []nodeID, far bool) {
	if found, ok := g.nearPrimaries(fs, from, found); ok {
		return found, false
	}
	before, nearest := len(found), -1
	end := g.walk(fs, []nodeID{from}, maxReach, func(id nodeID, hops int) bool {
		if nearest >= 0 && hops > nearest {
			return false
		}
		if n := g.at(id); fs.role(g, n.class) == rolePrimary && !n.common {
			nearest = hops
			found = append(found, id)
		}
		return true
	})
	if end != walkedAll && nearest < 0 {
		return found[:before], true
	}
	return found, false
}
