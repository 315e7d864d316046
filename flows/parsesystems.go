package flows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// System is who reports, as systems.yaml describes it.
type System struct {
	Name     string
	Title    string // Name where the file has none
	Owner    string
	Calendar string     // name of a calendar; "" for none
	Service  []string   // service.name that this system reports under
	Source   []string   // source of CloudEvents that this system reports under
	Downtime []Interval // planned, in order and apart
	Sampled  bool       // sends only some of its spans
	Notes    []Fault    // what is right in its part of the file but not in use
}

// unusedOfSystems are the fields that are checked and wait for their use.
var unusedOfSystems = map[string]string{
	"heartbeat": "is taken, but silence is not judged yet: what waits on a silent system is stuck",
	"calendar":  "of a system is taken, but silence is not judged yet; a step's `within` names its own calendar",
}

var (
	systemFields   = []string{"title", "heartbeat", "calendar", "owner", "match", "downtime", "sampled"}
	selectFields   = []string{"service", "source"}
	downtimeFields = []string{"from", "until"}
)

// maxDowntime bounds the downtimes of one system: each is looked at when a deadline is
// worked out.
const maxDowntime = 1000

// ParseSystems reads and checks systems.yaml (FLOWS.md section 2). It returns the systems
// by name, or every fault of the file in the order of their places.
func ParseSystems(file string, b []byte, calendars map[string]*Calendar) (map[string]*System, []Fault) {
	p := &parser{file: file, refs: Refs{Calendars: calendars}}
	systems, claims := map[string]*System{}, map[string]string{}
	if root := p.document(b, "systems"); root != nil {
		for i := 0; i+1 < len(root.Content); i += 2 {
			name := p.str(root.Content[i], "a system's name")
			if name == "" {
				continue
			}
			if systems[name] != nil {
				p.fault(root.Content[i], "system `%s` stands twice; keep one", name)
				continue
			}
			systems[name] = p.system(name, root.Content[i+1], claims)
			systems[name].Notes, p.notes = p.notes, nil
		}
	}
	if faults := p.sorted(); len(faults) > 0 {
		return nil, faults
	}
	return systems, nil
}

func (p *parser) system(name string, n *yaml.Node, claims map[string]string) *System {
	s := &System{Name: name, Title: name}
	if n.Kind != yaml.MappingNode {
		p.fault(n, "system `%s` must be a mapping, as {title: Carrier feed, owner: logistics}", shortened(name))
		return s
	}
	fields := p.fields(n, systemFields)
	if title := p.str(fields["title"], "title"); title != "" {
		s.Title = title
	}
	s.Owner = p.str(fields["owner"], "owner")
	s.Calendar = p.str(fields["calendar"], "calendar")
	if s.Calendar != "" {
		p.knownCalendar(fields["calendar"], s.Calendar)
	}
	p.duration(fields["heartbeat"], "heartbeat")
	for field, why := range unusedOfSystems {
		p.note(fields[field], field, why)
	}
	if m := fields["match"]; m != nil {
		if m.Kind != yaml.MappingNode {
			p.fault(m, "`match` must be a mapping, as {service: [dhl-poller, ups-poller]}")
			return s
		}
		by := p.fields(m, selectFields)
		s.Service, s.Source = p.words(by["service"], "service", p.str), p.words(by["source"], "source", p.str)
		p.reporters(m, s, claims)
	}
	p.downtime(fields["downtime"], s)
	if n := fields["sampled"]; n != nil {
		s.Sampled = p.yes(n, "sampled")
	}
	return s
}

func (p *parser) downtime(n *yaml.Node, s *System) {
	switch {
	case n == nil:
		return
	case n.Kind != yaml.SequenceNode:
		p.fault(n, "`downtime` must be a list, as [{from: 2026-12-01T22:00:00Z, until: 2026-12-02T04:00:00Z}]")
		return
	case len(n.Content) > maxDowntime:
		p.fault(n.Content[maxDowntime], "%d downtimes of one system; at most %d are taken; leave old ones out", len(n.Content), maxDowntime)
		return
	}
	for _, e := range n.Content {
		if e.Kind != yaml.MappingNode {
			p.fault(e, "a downtime must be a mapping, as {from: 2026-12-01T22:00:00Z, until: 2026-12-02T04:00:00Z}")
			continue
		}
		fields := p.fields(e, downtimeFields)
		var ends [2]Time
		for i, name := range downtimeFields {
			if fields[name] == nil {
				p.fault(e, "the downtime lacks `%s`; write {from: 2026-12-01T22:00:00Z, until: 2026-12-02T04:00:00Z}", name)
				continue
			}
			ends[i] = p.instant(fields[name], name)
		}
		if ends[0] != NoTime && ends[1] != NoTime && fields["from"] != nil && fields["until"] != nil {
			if ends[0] >= ends[1] {
				p.fault(fields["until"], "`until` is not after `from`")
				continue
			}
			s.Downtime = append(s.Downtime, Interval{ends[0], ends[1]})
		}
	}
	s.Downtime = merged(s.Downtime)
}

// instant is a field that is a time with its zone; NoTime where it is at fault.
func (p *parser) instant(n *yaml.Node, field string) Time {
	text := p.str(n, field)
	if text == "" {
		return NoTime
	}
	t, err := time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "T", 1))
	if err != nil {
		p.fault(n, "`%s` cannot be `%s`; write an instant with its zone, as 2026-12-01T22:00:00Z", field, shortened(text))
		return NoTime
	}
	if err := CheckRange(t); err != nil {
		p.fault(n, "`%s`: %s", field, err)
		return NoTime
	}
	return At(t)
}

// Refs are what flow files refer to in other files.
type Refs struct {
	Calendars map[string]*Calendar
	Systems   map[string]*System
}

// knownCalendar is the calendar of a name; nil, and a fault, where there is none.
func (p *parser) knownCalendar(n *yaml.Node, name string) *Calendar {
	if c := p.refs.Calendars[name]; c != nil {
		return c
	}
	known := make([]string, 0, len(p.refs.Calendars))
	for k := range p.refs.Calendars {
		known = append(known, k)
	}
	slices.Sort(known)
	there := ""
	if len(known) > 0 {
		there = didYouMean(name, known) + "; there are " + someOf(known)
	}
	p.fault(n, "no calendar is named `%s`%s; write calendars/%s.yaml", shortened(name), there, shortened(name))
	return nil
}

// referred is a text that changes with everything in other files that changes what a flow
// computes: the bytes of its calendars, and the planned downtime of the systems it waits
// for, and which of these sample. It is empty where there is none.
func referred(f *Flow) string {
	var lines []string
	for i := range f.Steps {
		s := &f.Steps[i]
		if s.Calendar != nil {
			lines = append(lines, "calendar "+s.Calendar.Name+" "+s.Calendar.hash)
		}
		for _, v := range s.Downtime {
			lines = append(lines, fmt.Sprintf("downtime %q %d %d", s.System, v.From, v.To))
		}
		if s.samples() {
			lines = append(lines, fmt.Sprintf("sampled %q", s.System))
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}
