package main

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"throughline/flows"
)

const (
	calendarsFolder = "calendars"    // in config_dir; a calendar's name is its file's
	systemsName     = "systems.yaml" // in config_dir
)

// refFiles are the files that flow files refer to: calendars/*.yaml and systems.yaml. Of
// one that was changed for the worse its last good version stays in force.
type refFiles struct {
	calendars map[string]*calendarFile // by path
	systems   systemsFile
	refs      flows.Refs
}

type calendarFile struct {
	watchedFile
	faults []flows.Fault
	good   *flows.Calendar
}

type systemsFile struct {
	watchedFile
	faults []flows.Fault
}

// look reads the files as they stand. changed says that flow files are to be read anew;
// open that something waits for the next look.
func (r *refFiles) look(configDir string, atOnce bool) (changed, open bool, err error) {
	changed, open, err = r.lookCalendars(configDir, atOnce)
	if err != nil {
		return false, false, err
	}
	if changed {
		r.refs.Calendars = map[string]*flows.Calendar{}
		for path, c := range r.calendars {
			if c.good != nil {
				r.refs.Calendars[calendarName(path)] = c.good
			}
		}
	}
	other, waits := r.lookSystems(configDir, atOnce, changed)
	return changed || other, open || waits, nil
}

func (r *refFiles) lookCalendars(configDir string, atOnce bool) (changed, open bool, err error) {
	paths, err := listFlowFiles(filepath.Join(configDir, calendarsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, false, err
	}
	for _, path := range paths {
		c := r.calendars[path]
		if c == nil {
			c = &calendarFile{}
			r.calendars[path] = c
		}
		c.gone = false
		text, err := readFlowFile(path)
		if errors.Is(err, fs.ErrNotExist) { // between listing and reading
			open = true
			continue
		}
		taken, waits := c.look(text, err, atOnce)
		if open = open || waits; taken {
			changed = true
			c.parse(path, err)
		}
	}
	for path, c := range r.calendars {
		if slices.Contains(paths, path) {
			continue
		}
		gone, waits := c.missed(atOnce)
		if open = open || waits; gone {
			changed = true
			delete(r.calendars, path)
		}
	}
	return changed, open, nil
}

func (c *calendarFile) parse(path string, err error) {
	name := calendarsFolder + "/" + filepath.Base(path)
	if err != nil {
		c.faults = []flows.Fault{unreadable(name, err)}
		return
	}
	var calendar *flows.Calendar
	if calendar, c.faults = flows.ParseCalendar(name, calendarName(path), c.text); calendar != nil {
		c.good = calendar
	}
}

func calendarName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

// lookSystems reads systems.yaml, anew where the calendars that it names changed.
func (r *refFiles) lookSystems(configDir string, atOnce, anew bool) (changed, open bool) {
	s := &r.systems
	text, err := readFlowFile(filepath.Join(configDir, systemsName))
	if errors.Is(err, fs.ErrNotExist) {
		if s.text == nil && s.seen == nil && s.faults == nil {
			return false, false
		}
		gone, open := s.missed(atOnce)
		if gone {
			*s, r.refs.Systems = systemsFile{}, nil
		}
		return gone, open
	}
	s.gone = false
	taken, open := s.watchedFile.look(text, err, atOnce)
	switch {
	case err != nil && taken:
		s.faults = []flows.Fault{unreadable(systemsName, err)}
	case taken || anew && s.text != nil:
		var systems map[string]*flows.System
		if systems, s.faults = flows.ParseSystems(systemsName, s.text, r.refs.Calendars); systems != nil {
			r.refs.Systems = systems
			return true, open
		}
	}
	return false, open
}

// faults are those of all files as they stand.
func (r *refFiles) faults() []flows.Fault {
	all := slices.Clone(r.systems.faults)
	for _, path := range slices.Sorted(maps.Keys(r.calendars)) {
		all = append(all, r.calendars[path].faults...)
	}
	return all
}

// notes are what is right in the files but not in use, once a field.
func (r *refFiles) notes() (all []flows.Fault) {
	known := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(r.refs.Systems)) {
		for _, note := range r.refs.Systems[name].Notes {
			if !known[note.Message] {
				known[note.Message] = true
				all = append(all, note)
			}
		}
	}
	return all
}
