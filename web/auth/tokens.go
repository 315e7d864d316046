package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The files in the data folder.
const (
	tokensFile = "tokens.json"
	lockFile   = "tokens.lock"
	maxTokens  = 10_000
	maxFile    = 8 << 20 // bytes: more than maxTokens take
)

// Tokens are the tokens of a data folder. Several processes may hold one folder: each change
// is made under a lock on what the file says then, and seen by the others.
type Tokens struct {
	dir string

	mu   sync.RWMutex // guards all below
	seen fileState
	byID map[string]Token
}

// fileState tells whether the file was changed.
type fileState struct {
	size     int64
	modified time.Time
	inode    uint64 // each change is a new file
}

// OpenTokens reads the tokens of a data folder, which is made where it is absent. A folder
// without tokens is no fault; a file that cannot be read is.
func OpenTokens(dir string) (*Tokens, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open tokens: %w", err)
	}
	t := &Tokens{dir: dir, byID: map[string]Token{}}
	if _, err := t.Look(); err != nil {
		return nil, fmt.Errorf("open tokens: %w", err)
	}
	return t, nil
}

func (t *Tokens) file() string { return filepath.Join(t.dir, tokensFile) }

func (t *Tokens) state() (fileState, error) {
	info, err := os.Stat(t.file())
	if errors.Is(err, fs.ErrNotExist) {
		return fileState{}, nil
	}
	if err != nil {
		return fileState{}, err //nolint:wrapcheck // names the file already
	}
	s := fileState{size: info.Size(), modified: info.ModTime()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = stat.Ino
	}
	return s, nil
}

// Look takes what changed in the file, and says whether something did. After an error those
// that were known before stay.
func (t *Tokens) Look() (changed bool, err error) {
	state, err := t.state()
	if err != nil {
		return false, err
	}
	t.mu.RLock()
	same := state == t.seen
	t.mu.RUnlock()
	if same {
		return false, nil
	}
	list, err := t.read()
	if err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = state
	t.byID = make(map[string]Token, len(list))
	for _, one := range list {
		t.byID[one.ID] = one
	}
	return true, nil
}

type document struct {
	Tokens []Token `json:"tokens"`
}

func (t *Tokens) read() ([]Token, error) {
	data, err := os.ReadFile(t.file())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // names the file already
	}
	var d document
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are taken", t.file(), len(data), maxFile)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("%s: %w; put a backup in its place, or remove it and create the tokens anew", t.file(), err)
	}
	return d.Tokens, nil
}

// Identify is the token that plain is. Errors: ErrUnknown.
func (t *Tokens) Identify(plain string) (Token, error) {
	id := idOf(plain)
	if id == "" {
		return Token{}, ErrUnknown
	}
	one, ok := t.Get(id)
	if !ok { // it may have been created a moment ago
		if _, err := t.Look(); err != nil {
			return Token{}, ErrUnknown
		}
		one, ok = t.Get(id)
	}
	if !ok || !one.is(plain) {
		return Token{}, ErrUnknown
	}
	return one, nil
}

// Get is a token by its id.
func (t *Tokens) Get(id string) (Token, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	one, ok := t.byID[id]
	return one, ok
}

// List is all tokens by name, without their hashes.
func (t *Tokens) List() []Token {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]Token, 0, len(t.byID))
	for _, one := range t.byID {
		one.Hash = ""
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Create adds a token and returns its text, which is kept nowhere. It is durable then.
// Errors: *InputError, and those of the file.
func (t *Tokens) Create(want Token, now time.Time) (plain string, made Token, err error) {
	if err := want.Check(); err != nil {
		return "", Token{}, err
	}
	made = Token{Name: want.Name, Scope: want.Scope, System: want.System, Rate: want.Rate, Created: now.UTC()}
	plain = made.mint()
	err = t.change(func(list []Token) ([]Token, error) {
		if slices.ContainsFunc(list, func(one Token) bool { return one.Name == made.Name }) {
			return nil, input("a token %q is there already; revoke it, or choose another name", made.Name)
		}
		if len(list) >= maxTokens {
			return nil, input("there are %d tokens already; revoke those that nobody uses", len(list))
		}
		return append(list, made), nil
	})
	if err != nil {
		return "", Token{}, err
	}
	made.Hash = ""
	return plain, made, nil
}

// Revoke removes a token by its name or id. Its requests are refused from then on, within a
// second those to other processes too. Errors: *InputError, and those of the file.
func (t *Tokens) Revoke(which string) (gone Token, err error) {
	err = t.change(func(list []Token) ([]Token, error) {
		i := slices.IndexFunc(list, func(one Token) bool { return one.Name == which || one.ID == which })
		if i < 0 {
			return nil, input("there is no token %q; `throughline token list` shows them", which)
		}
		gone = list[i]
		gone.Hash = ""
		return slices.Delete(list, i, i+1), nil
	})
	return gone, err
}

// change replaces the file by what f makes of its tokens.
func (t *Tokens) change(f func([]Token) ([]Token, error)) error {
	lock, err := os.OpenFile(filepath.Join(t.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("change tokens: %w", err)
	}
	defer lock.Close() //nolint:errcheck // nothing was written to it; closing gives up the lock
	if err := giveTo(lock, t.dir); err != nil {
		return fmt.Errorf("change tokens: %w", err)
	}
	// Held for the milliseconds of a write, by this program only.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("change tokens: lock %s: %w", lock.Name(), err)
	}
	list, err := t.read()
	if err != nil {
		return fmt.Errorf("change tokens: %w", err)
	}
	if list, err = f(list); err != nil {
		return err
	}
	data, err := json.MarshalIndent(document{list}, "", " ")
	if err != nil {
		return fmt.Errorf("change tokens: %w", err)
	}
	if err := replaceFile(t.dir, tokensFile, data); err != nil {
		return fmt.Errorf("change tokens: %w", err)
	}
	_, err = t.Look()
	return err
}

// replaceFile writes a file such that a crash leaves the old or the new one, never a part.
// Only its owner may read it.
func replaceFile(dir, name string, data []byte) error {
	temporary, err := os.CreateTemp(dir, name+".*") // mode 0600
	if err != nil {
		return err //nolint:wrapcheck // names the file already
	}
	_, err = temporary.Write(data)
	if err == nil {
		err = giveTo(temporary, dir)
	}
	if err == nil {
		err = temporary.Sync()
	}
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err //nolint:wrapcheck // names the folder already
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// giveTo lets the owner of the folder read a file that root makes there: the server may run
// as another user than the one who creates a token.
func giveTo(file *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err //nolint:wrapcheck // names the folder already
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return file.Chown(int(owner.Uid), int(owner.Gid)) //nolint:wrapcheck // names the file already
}
