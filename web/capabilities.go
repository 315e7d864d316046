package web

import (
	"net/http"
	"slices"

	"throughline/flows"
)

type capabilityJSON struct {
	Capability string     `json:"capability"`
	Title      string     `json:"title"`
	Owner      string     `json:"owner"`
	Systems    []string   `json:"systems"` // as the file lists them, then those that its flows wait for
	Flows      []flowJSON `json:"flows"`   // that run
}

// getCapabilities is the capability map: what the business does, by which flows, over which
// systems.
func (s *Server) getCapabilities(r *http.Request) (any, error) {
	if p := query(r); p.fault != nil {
		return nil, p.fault
	}
	var all []flows.Capability
	if s.Capabilities != nil {
		all = s.Capabilities()
	}
	list := make([]capabilityJSON, len(all))
	for i := range all {
		c := &all[i]
		list[i] = capabilityJSON{Capability: c.Name, Title: c.Title, Owner: c.Owner, Systems: slices.Clone(c.Systems), Flows: []flowJSON{}}
		for _, name := range c.Flows {
			f, ok := s.rules.Set().Flow(name)
			if !ok {
				continue // the file's fault says so
			}
			list[i].Flows = append(list[i].Flows, s.flowAnswer(r, f))
			for step := range f.Steps {
				if system := f.Steps[step].System; system != "" && !slices.Contains(list[i].Systems, system) {
					list[i].Systems = append(list[i].Systems, system)
				}
			}
		}
		if list[i].Systems == nil {
			list[i].Systems = []string{}
		}
	}
	return map[string]any{"capabilities": list}, nil
}

// capabilityTitles are the titles of what flows belong to, by the flow's name.
func (s *Server) capabilityTitles() map[string]string {
	if s.Capabilities == nil {
		return nil
	}
	titles := map[string]string{}
	for _, c := range s.Capabilities() {
		for _, flow := range c.Flows {
			titles[flow] = c.Title
		}
	}
	return titles
}

func (s *Server) flowAnswer(r *http.Request, f *flows.Flow) flowJSON {
	h, err := s.liveHealth(r.Context(), f)
	if err != nil { // the list of flows does not depend on their numbers
		h = flows.Health{Health: flows.HealthUnknown}
	}
	return flowJSON{f.Name, f.Title, f.Capability, f.Version, h.InFlight, h.Stuck, h.Unknown, h.Health}
}
