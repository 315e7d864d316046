package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"throughline/flows"
)

// check reads flow files and the files that they refer to, and prints a line for each of
// their faults, and for what is right but not in use. A path is a file, a config_dir, or
// its folder of flows. An error says that a path could not be read.
func check(paths []string, stdout io.Writer) (faults int, err error) {
	for _, path := range paths {
		wrong, notes, err := examine(path)
		if err != nil {
			return faults, fmt.Errorf("check: %w", err)
		}
		if err := errors.Join(printFaults(stdout, "", wrong), printFaults(stdout, "note: ", notes)); err != nil {
			return faults, fmt.Errorf("check: %w", err)
		}
		faults += len(wrong)
	}
	return faults, nil
}

func printFaults(stdout io.Writer, kind string, faults []flows.Fault) error {
	for _, fault := range faults {
		fault.Message = kind + fault.Message
		text := fault.String()
		if fault.Picture != "" {
			text += "\n" + fault.Picture
		}
		if _, err := fmt.Fprintln(stdout, text); err != nil {
			return err
		}
	}
	return nil
}

// examine finds the faults of the files of a path, and notes of what is not in use, both by place.
func examine(path string) (faults, notes []flows.Fault, err error) {
	files, err := flowFiles(path)
	if err != nil {
		return nil, nil, err
	}
	refs, faults, notes, err := checkRefs(path)
	if err != nil {
		return nil, nil, err
	}
	owners := map[string]string{}
	for _, file := range files {
		text, err := readFlowFile(file)
		if err != nil {
			faults = append(faults, unreadable(file, err))
			continue
		}
		if filepath.Base(file) == keysName {
			_, wrong := flows.ParseKeys(file, text)
			faults = append(faults, wrong...)
			continue
		}
		if isRef(file) {
			continue // its faults are known
		}
		flow, wrong := refs.Parse(file, text)
		faults = append(faults, wrong...)
		if flow == nil {
			continue
		}
		notes = append(notes, flow.Notes...)
		if other, ok := owners[flow.Name]; ok {
			faults = append(faults, twice(file, text, flow.Name, other))
			continue
		}
		owners[flow.Name] = file
	}
	wrong, err := checkCapabilities(path)
	if err != nil {
		return nil, nil, err
	}
	faults = append(faults, wrong...)
	slices.SortStableFunc(faults, flows.CompareFaults)
	slices.SortStableFunc(notes, flows.CompareFaults)
	return faults, notes, nil
}

// checkRefs reads the calendars and systems of the config_dir that a path is, or lies in,
// and returns their faults and notes where the path means them.
func checkRefs(path string) (refs flows.Refs, faults, notes []flows.Fault, err error) {
	dir, err := configDirOf(path)
	if err != nil {
		return refs, nil, nil, err
	}
	files := refFiles{calendars: map[string]*calendarFile{}}
	if _, _, err := files.look(dir, true); err != nil {
		return refs, nil, nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return refs, nil, nil, err
	}
	meant := func(list []flows.Fault) (some []flows.Fault) {
		for _, fault := range list {
			fault.File = filepath.Join(dir, filepath.FromSlash(fault.File))
			if fault.File == filepath.Clean(path) || info.IsDir() {
				some = append(some, fault)
			}
		}
		return some
	}
	notes = files.notes()
	return files.refs, meant(files.faults()), meant(notes), nil
}

// checkCapabilities finds the faults of capabilities.yaml, and where it and the flow files
// beside it contradict each other, where the path means that file.
func checkCapabilities(path string) ([]flows.Fault, error) {
	dir, err := configDirOf(path)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, capabilitiesName)
	if info, err := os.Stat(path); err != nil || !info.IsDir() && filepath.Clean(path) != file {
		return nil, err
	}
	text, err := readFlowFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return []flows.Fault{unreadable(file, err)}, nil
	}
	all, faults := flows.ParseCapabilities(file, text)
	if all == nil {
		return faults, nil
	}
	refs, _, _, err := checkRefs(dir)
	if err != nil {
		return nil, err
	}
	paths, err := listFlowFiles(filepath.Join(dir, flowsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var running []*flows.Flow
	for _, path := range paths {
		text, err := readFlowFile(path)
		if err != nil {
			continue // its own fault
		}
		flow, _ := refs.Parse(path, text)
		if flow == nil {
			return nil, nil // what the file says can be held against whole flows only
		}
		running = append(running, flow)
	}
	return flows.CheckCapabilities(file, all, running), nil
}

// configDirOf is the config_dir that a path is, or lies in.
func configDirOf(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	dir := path
	if !info.IsDir() {
		dir = filepath.Dir(path)
	}
	if base := filepath.Base(dir); base == flowsFolder || base == calendarsFolder {
		dir = filepath.Dir(dir)
	}
	return dir, nil
}

// isRef says whether a file is one that flow files refer to.
func isRef(file string) bool {
	return filepath.Base(file) == systemsName || filepath.Base(file) == capabilitiesName || filepath.Base(filepath.Dir(file)) == calendarsFolder
}

// flowFiles are the flow files of a path, sorted. A folder that has none is no error: it
// may be about to get its first.
func flowFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	keys := filepath.Join(path, keysName)
	if in, err := os.Stat(filepath.Join(path, flowsFolder)); err == nil && in.IsDir() {
		path = filepath.Join(path, flowsFolder)
	}
	files, err := listFlowFiles(path)
	files = slices.DeleteFunc(files, func(file string) bool { return slices.Contains(otherFiles, filepath.Base(file)) })
	if _, missing := os.Stat(keys); missing == nil {
		files = append(files, keys)
	}
	return files, err
}

// otherFiles stand in a config_dir, or beside it, and are no flows.
var otherFiles = []string{"throughline.yaml", "alertmanager.yml", keysName, systemsName, capabilitiesName}

// listFlowFiles are the flow files of a folder, sorted. Hidden files are not among them:
// editors and mounted volumes keep their own there.
func listFlowFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" || e.IsDir() {
			continue
		}
		files = append(files, filepath.Join(folder, e.Name()))
	}
	return files, nil
}

// readFlowFile reads a file, but not much more than Parse takes.
func readFlowFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe would never end
		return nil, &fs.PathError{Op: "read", Path: file, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, flows.MaxFlowBytes+1))
	return b, errors.Join(err, f.Close())
}

func unreadable(file string, err error) flows.Fault {
	return flows.Fault{File: file, Line: 1, Col: 1, Message: "cannot be read: " + err.Error()}
}

// twice is the fault of a flow whose name another file has.
func twice(file string, text []byte, name, other string) flows.Fault {
	line := 1
	for i, l := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(l, "flow:") {
			line = i + 1
			break
		}
	}
	return flows.Fault{
		File: file, Line: line, Col: 1,
		Message: fmt.Sprintf("flow `%s` stands in %s already; give one of them another name", name, other),
	}
}
