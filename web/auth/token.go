package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Scope says what a token is for.
type Scope string

// The scopes. Operate includes read, and admin includes all.
const (
	Ingest  Scope = "ingest"  // send signals
	Read    Scope = "read"    // pages, API, websockets, metrics
	Operate Scope = "operate" // acknowledge, silence, resolve, import
	Admin   Scope = "admin"   // tokens, erasing
)

// Scopes are all of them, in the order of documentation.
func Scopes() []Scope { return []Scope{Ingest, Read, Operate, Admin} }

// Allows says whether a token of this scope may do what needs the other.
func (s Scope) Allows(need Scope) bool {
	return s == need || s == Admin || s == Operate && need == Read
}

// Token is what is known of a token; nothing of it is secret but Hash, which is not shown.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Scope   Scope     `json:"scope"`
	System  string    `json:"system,omitempty"`             // what it sends must be of this system; "" for any
	Rate    int       `json:"signals_per_second,omitempty"` // that it may send; 0 for no limit
	Created time.Time `json:"created_at"`
	Hash    string    `json:"sha256,omitempty"` // of the whole token, in hex
}

const (
	prefix      = "tl_"
	idBytes     = 6
	secretBytes = 32
	tokenLength = len(prefix) + 2*idBytes + 1 + 2*secretBytes

	maxName   = 100 // bytes
	maxSystem = 256 // bytes
	maxRate   = 10_000_000
)

// InputError is a fault of who asked, with a sentence that says what to do.
type InputError struct{ Detail string }

func (e *InputError) Error() string { return e.Detail }

func input(format string, args ...any) error { return &InputError{fmt.Sprintf(format, args...)} }

// Check says what is wrong with a token that is to be created.
func (t *Token) Check() error {
	switch {
	case strings.TrimSpace(t.Name) == "" || len(t.Name) > maxName || !isText(t.Name):
		return input("name: give the token a name of at most %d bytes, such as who uses it", maxName)
	case !slices.Contains(Scopes(), t.Scope):
		return input("scope: %q is not known; allowed: ingest, read, operate, admin", t.Scope)
	case t.Scope != Ingest && (t.System != "" || t.Rate != 0):
		return input("system and rate limit what a token sends; they go with scope ingest")
	case len(t.System) > maxSystem || !isText(t.System):
		return input("system: a text of at most %d bytes", maxSystem)
	case t.Rate < 0 || t.Rate > maxRate:
		return input("rate: a number of signals a second from 1 to %d, or 0 for no limit", maxRate)
	}
	return nil
}

func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// mint makes the secret of a token, and fills in its ID and Hash. The result is shown once.
func (t *Token) mint() string {
	var random [idBytes + secretBytes]byte
	rand.Read(random[:]) //nolint:errcheck // it never fails (crypto/rand)
	t.ID = hex.EncodeToString(random[:idBytes])
	plain := prefix + t.ID + "_" + hex.EncodeToString(random[idBytes:])
	t.Hash = hash(plain)
	return plain
}

func hash(plain string) string {
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:])
}

// is says whether plain is this token, in a time that tells nothing about the secret.
func (t *Token) is(plain string) bool {
	return subtle.ConstantTimeCompare([]byte(hash(plain)), []byte(t.Hash)) == 1
}

// idOf is the public part of a token; "" for what is none.
func idOf(plain string) string {
	if len(plain) != tokenLength || !strings.HasPrefix(plain, prefix) {
		return ""
	}
	return plain[len(prefix) : len(prefix)+2*idBytes]
}

// Errors of Identify and Bearer.
var (
	ErrNoToken = errors.New("no token was sent; send `Authorization: Bearer TOKEN` (`throughline token create` makes one)")
	ErrUnknown = errors.New("the token is not known: it was revoked, or is of another server, or was cut off")
)

// Bearer takes the token out of an Authorization header. An empty header is ErrNoToken.
func Bearer(header string) (string, error) {
	scheme, token, ok := strings.Cut(strings.TrimSpace(header), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		return "", ErrNoToken
	}
	return strings.TrimSpace(token), nil
}
