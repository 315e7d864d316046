package alert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// The files in Options.Dir.
const (
	logFile       = "notifications"
	silencesFile  = "silences"
	incidentsFile = "incidents.json"
)

// saver knows which files are out of date, and replaces files whole.
type saver struct {
	dir string
	log *slog.Logger

	writing sync.Mutex // one writer at a time
	mu      sync.Mutex // guards stale; taken with Alertmanager's locks held, so never held across I/O
	stale   map[string]bool
}

func newSaver(dir string, log *slog.Logger) saver {
	return saver{dir: dir, log: log, stale: make(map[string]bool)}
}

func (s *saver) mark(files ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range files {
		s.stale[file] = true
	}
}

func (s *saver) markAll() { s.mark(logFile, silencesFile, incidentsFile) }

// take says whether the file is out of date, and that it is being written.
func (s *saver) take(file string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	stale := s.stale[file]
	s.stale[file] = false
	return stale
}

// save writes the files that are out of date and says whether all went well; what failed
// stays out of date, and is in the log.
func (r *Router) save() bool {
	s := &r.saver
	s.writing.Lock()
	defer s.writing.Unlock()
	ok := true
	for file, snapshot := range map[string]func(io.Writer) (int64, error){
		logFile: r.log.Snapshot, silencesFile: r.silences.Snapshot, incidentsFile: r.snapshotIncidents,
	} {
		if !s.take(file) {
			continue
		}
		if err := s.replace(file, snapshot); err != nil {
			s.log.Error("the state of alerts is not written; it is tried again", "file", file, "err", err)
			s.mark(file)
			ok = false
		}
	}
	return ok
}

func (r *Router) snapshotIncidents(w io.Writer) (int64, error) {
	r.mu.Lock()
	data, err := r.book.save()
	r.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return io.Copy(w, bytes.NewReader(data))
}

// replace writes the file such that a crash leaves the old or the new one, never a part.
func (s *saver) replace(file string, snapshot func(io.Writer) (int64, error)) error {
	temporary, err := os.CreateTemp(s.dir, file+".*")
	if err != nil {
		return err
	}
	_, err = snapshot(temporary)
	if err == nil {
		err = temporary.Sync()
	}
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), filepath.Join(s.dir, file))
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// restore opens a file of the state. One that cannot be read is put aside and said, and
// open is tried without: losing memory of what was told repeats a page, not starting at
// all pages nobody.
func restore[T any](s *saver, file string, open func(path string) (T, error)) (T, error) {
	path := filepath.Join(s.dir, file)
	opened, err := open(path)
	if err == nil {
		return opened, nil
	}
	if moved := os.Rename(path, path+".unreadable"); moved != nil {
		return opened, errors.Join(err, moved)
	}
	s.log.Error("the state of alerts cannot be read and is put aside; what fires now is told again",
		"file", path+".unreadable", "err", fmt.Errorf("read %s: %w", file, err))
	return open(path)
}
