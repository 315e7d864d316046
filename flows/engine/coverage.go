package engine

import (
	"cmp"
	"slices"

	"throughline/flows"
)

// Coverage says, of the signals of one name from one system that are steps of a flow, how
// many found their instance, and why the others did not (FLOWS.md section 8). Copies and
// second deliveries do not count; the numbers are those since the engine was made.
type Coverage struct {
	Flow    string
	System  string
	Name    string
	Signals int
	Keyed   int // carried a key of the flow
	Joined  int // are in an instance, now
	Waiting int // for something to link their key to an instance, now
	// Ambiguous stand in a trace with several keys of the flow and below none of them, now;
	// they are waiting too.
	Ambiguous int
	GivenUp   int      // waited too long, or among too many
	Sampled   int      // came from a producer that sends only some of its spans
	Keyless   int      // carried none of Missing, and stand in no trace
	Missing   []string // what a signal would have to carry one of
}

// producer counts for one Coverage.
type producer struct{ Coverage }

type producerID struct {
	fs     *flowState
	step   int
	system string
}

// maxProducers bounds the producers told apart; those beyond count as one.
const maxProducers = 10_000

// producer of an occurrence that was placed before.
func (e *Engine) producer(fs *flowState, o *flows.Occurrence) *producer {
	if p := e.producers[producerID{fs, o.Step, o.System}]; p != nil {
		return p
	}
	p := e.producers[producerID{}]
	if p == nil {
		p = &producer{Coverage{System: "others"}}
		e.producers[producerID{}] = p
	}
	return p
}

// newProducer is producer for an occurrence that is new, of a signal of some name.
func (e *Engine) newProducer(fs *flowState, o *flows.Occurrence, name string) *producer {
	if int(o.Step) < len(fs.producers) {
		if p := fs.producers[o.Step]; p != nil && p.System == o.System {
			return p
		}
	}
	id := producerID{fs, o.Step, o.System}
	if e.producers[id] == nil && len(e.producers) < maxProducers {
		e.producers[id] = &producer{Coverage{
			Flow: fs.flow.Name, System: o.System, Name: e.names.kept(name), Missing: append([]string{fs.flow.Key}, fs.flow.Links...),
		}}
	}
	p := e.producer(fs, o)
	if int(o.Step) < len(fs.producers) && p != e.producers[producerID{}] {
		fs.producers[o.Step] = p
	}
	return p
}

// Coverage lists the producers, by flow, system and name.
func (e *Engine) Coverage() []Coverage {
	byName := map[[3]string]*Coverage{}
	for _, p := range e.producers {
		id := [3]string{p.Flow, p.System, p.Name}
		c := byName[id]
		if c == nil { // two steps may have one name
			c = &Coverage{Flow: p.Flow, System: p.System, Name: p.Name, Missing: p.Missing}
			byName[id] = c
		}
		c.Signals += p.Signals
		c.Keyed += p.Keyed
		c.Joined += p.Joined
		c.Waiting += p.Waiting
		c.Ambiguous += p.Ambiguous
		c.GivenUp += p.GivenUp
		c.Keyless += p.Keyless
		c.Sampled += p.Sampled
	}
	list := make([]Coverage, 0, len(byName))
	for _, c := range byName {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Coverage) int {
		return cmp.Or(cmp.Compare(a.Flow, b.Flow), cmp.Compare(a.System, b.System), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// CommonKey is a key with so many partners that it says nothing about what belongs
// together.
type CommonKey struct {
	flows.Key
	Environment string
	Limit       int // partners it may have
}

// FullInstance is an instance with so many signals that it takes no more.
type FullInstance struct {
	Flow string
	flows.Key
	Environment string
	Limit       int // signals it may have
}

// FullInstances are the first that were full, in that order: what a banner names.
func (e *Engine) FullInstances() []FullInstance { return slices.Clone(e.full) }

// maxCommonShown bounds the lists of CommonKeys and FullInstances. Stats counts all.
const maxCommonShown = 100

// CommonKeys are the first keys that became common, in that order: what a banner names.
func (e *Engine) CommonKeys() []CommonKey { return slices.Clone(e.common) }

func (e *Engine) noteCommon(n *node) {
	e.stats.Common++
	if class := e.graph.classes[n.class]; len(e.common) < maxCommonShown {
		e.common = append(e.common, CommonKey{flows.Key{Type: class.typ, Value: n.value}, class.environment, class.limit})
	}
}
