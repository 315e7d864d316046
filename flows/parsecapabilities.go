package flows

import (
	"maps"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Capability is what the business does, as capabilities.yaml describes it: it owns flows
// and touches systems.
type Capability struct {
	Name    string
	Title   string // Name where the file has none
	Owner   string
	Systems []string
	Flows   []string
	places  map[string]*yaml.Node // of Flows
}

var capabilityFields = []string{"title", "owner", "systems", "flows"}

// ParseCapabilities reads and checks capabilities.yaml (FLOWS.md section 2). It returns the
// capabilities by name, or every fault of the file in the order of their places.
func ParseCapabilities(file string, b []byte) (map[string]*Capability, []Fault) {
	p := &parser{file: file}
	all, owners := map[string]*Capability{}, map[string]string{}
	if root := p.document(b, "capabilities"); root != nil {
		for i := 0; i+1 < len(root.Content); i += 2 {
			name := p.word(root.Content[i], "a capability's name", flowNamePattern, "order-fulfilment")
			switch {
			case name == "":
			case all[name] != nil:
				p.fault(root.Content[i], "capability `%s` stands twice; keep one", name)
			default:
				all[name] = p.capability(name, root.Content[i+1], owners)
			}
		}
	}
	if faults := p.sorted(); len(faults) > 0 {
		return nil, faults
	}
	return all, nil
}

func (p *parser) capability(name string, n *yaml.Node, owners map[string]string) *Capability {
	c := &Capability{Name: name, Title: name, places: map[string]*yaml.Node{}}
	if n.Kind != yaml.MappingNode {
		p.fault(n, "capability `%s` must be a mapping, as {title: Order to cash, flows: [order-to-cash]}", name)
		return c
	}
	fields := p.fields(n, capabilityFields)
	if title := p.str(fields["title"], "title"); title != "" {
		c.Title = title
	}
	c.Owner = p.str(fields["owner"], "owner")
	c.Systems = p.words(fields["systems"], "systems", p.str)
	c.Flows = p.words(fields["flows"], "flows", func(e *yaml.Node, field string) string {
		flow := p.word(e, field, flowNamePattern, "order-to-cash")
		if other, taken := owners[flow]; taken && other != name {
			p.fault(e, "flow `%s` belongs to capability `%s` already; a flow has one", flow, other)
		}
		if flow != "" {
			owners[flow], c.places[flow] = name, e
		}
		return flow
	})
	return c
}

// CheckCapabilities finds what capabilities and flows say of each other that does not fit:
// a flow that there is not, and one whose own file names another capability.
func CheckCapabilities(file string, all map[string]*Capability, flows []*Flow) []Fault {
	p := &parser{file: file}
	byName := make(map[string]*Flow, len(flows))
	for _, f := range flows {
		byName[f.Name] = f
	}
	known := slices.Sorted(maps.Keys(byName))
	for _, c := range all {
		for _, name := range c.Flows {
			f := byName[name]
			switch {
			case f == nil:
				there := ""
				if len(known) > 0 {
					there = "; there are " + someOf(known)
				}
				p.fault(c.places[name], "no flow is named `%s`%s%s", name, didYouMean(name, known), there)
			case f.Capability != "" && f.Capability != c.Name:
				p.fault(c.places[name], "flow `%s` says `capability: %s` in its own file; let both say the same", name, shortened(f.Capability))
			}
		}
	}
	return p.sorted()
}
