package main

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"throughline/flows"
)

// capabilitiesName is the file in config_dir that says what the business does.
const capabilitiesName = "capabilities.yaml"

// capabilitiesFile is that file. After a change for the worse its last good version stays.
type capabilitiesFile struct {
	watchedFile
	faults []flows.Fault
	good   map[string]*flows.Capability // nil where there is no file
}

// look reads the file as it stands; open says that something waits for the next look.
func (c *capabilitiesFile) look(configDir string, atOnce bool) (open bool) {
	text, err := readFlowFile(filepath.Join(configDir, capabilitiesName))
	if errors.Is(err, fs.ErrNotExist) {
		if c.text == nil && c.seen == nil && c.faults == nil {
			return false
		}
		gone, open := c.missed(atOnce)
		if gone {
			*c = capabilitiesFile{}
		}
		return open
	}
	c.gone = false
	taken, open := c.watchedFile.look(text, err, atOnce)
	switch {
	case !taken:
	case err != nil:
		c.faults = []flows.Fault{unreadable(capabilitiesName, err)}
	default:
		var all map[string]*flows.Capability
		if all, c.faults = flows.ParseCapabilities(capabilitiesName, text); all != nil {
			c.good = all
		}
	}
	return open
}

// against are the faults of the file, and those of what it and the flows say of each other.
func (c *capabilitiesFile) against(running []*flows.Flow) []flows.Fault {
	if len(c.faults) > 0 {
		return c.faults
	}
	return flows.CheckCapabilities(capabilitiesName, c.good, running)
}

// Capabilities are those of the file by name, then those that flows name besides.
func (r *rules) Capabilities() []flows.Capability {
	now := r.now.Load()
	all := map[string]flows.Capability{}
	owned := map[string]bool{}
	for name, c := range now.capabilities {
		all[name] = *c
		for _, flow := range c.Flows {
			owned[flow] = true
		}
	}
	for _, f := range now.set.Flows() {
		if f.Capability == "" || owned[f.Name] {
			continue
		}
		c, ok := all[f.Capability]
		if !ok {
			c = flows.Capability{Name: f.Capability, Title: f.Capability}
		}
		c.Flows = append(slices.Clip(c.Flows), f.Name)
		all[f.Capability] = c
	}
	list := make([]flows.Capability, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[name])
	}
	return list
}
