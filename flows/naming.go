package flows

import (
	"maps"

	"go.yaml.in/yaml/v4"
)

// Naming says which system a signal comes from, where systems.yaml says so. It is
// read-only; the zero value names nothing.
type Naming struct {
	service, source map[string]string // what reports -> name of the system
}

// NewNaming takes what systems match.
func NewNaming(systems map[string]*System) Naming {
	n := Naming{map[string]string{}, map[string]string{}}
	for name, system := range systems {
		for _, service := range system.Service {
			n.service[service] = name
		}
		for _, source := range system.Source {
			n.source[source] = name
		}
	}
	return n
}

// Equal says whether two name all alike.
func (n Naming) Equal(o Naming) bool {
	return maps.Equal(n.service, o.service) && maps.Equal(n.source, o.source)
}

// name sets the system of a signal that some system matches.
func (n *Naming) name(sig *Signal) {
	if len(n.service) > 0 {
		if name, ok := n.service[sig.reporter()]; ok {
			sig.System = name
			return
		}
	}
	if len(n.source) > 0 && sig.Kind == Event {
		if name, ok := n.source[sig.Source]; ok {
			sig.System = name
		}
	}
}

// Named is this set with systems named so.
func (s *Set) Named(n Naming) *Set {
	named := *s
	named.naming = n
	return &named
}

// reporters finds what a system claims that another claims too.
func (p *parser) reporters(n *yaml.Node, s *System, claims map[string]string) {
	for _, of := range []struct {
		what  string
		names []string
	}{{"service", s.Service}, {"source", s.Source}} {
		for _, name := range of.names {
			claim := of.what + " `" + shortened(name) + "`"
			if other, ok := claims[claim]; ok {
				p.fault(n, "%s is matched by system `%s` already; keep one", claim, shortened(other))
			}
			claims[claim] = s.Name
		}
	}
}
