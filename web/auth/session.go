package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	cookieName = "throughline_session"
	// sessionFor is how long a browser stays signed in. A revoked token ends it at once.
	sessionFor = 7 * 24 * time.Hour

	keyFile  = "session.key"
	keyBytes = 32
)

// loadKey is the key that signs sessions. Without the file a new one is made, and whoever is
// signed in signs in again.
func loadKey(dir string) ([]byte, error) {
	key, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err == nil && len(key) == keyBytes {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the key of sessions: %w", err)
	}
	key = make([]byte, keyBytes)
	rand.Read(key) //nolint:errcheck // it never fails (crypto/rand)
	if err := replaceFile(dir, keyFile, key); err != nil {
		return nil, fmt.Errorf("write the key of sessions: %w", err)
	}
	return key, nil
}

// session is what a cookie says: which token, until when.
type session struct {
	token string // id
	until time.Time
}

func (s session) text() string { return s.token + "." + strconv.FormatInt(s.until.Unix(), 10) }

// seal is the cookie's value: what it says, and a signature that nobody else can make.
func (s session) seal(key []byte) string {
	return s.text() + "." + base64.RawURLEncoding.EncodeToString(sign(key, s.text()))
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("session " + text))
	return mac.Sum(nil)
}

// unseal reads a cookie's value; false for one that is not ours, or is over.
func unseal(key []byte, value string, now time.Time) (session, bool) {
	text, signature, ok := cutLast(value, ".")
	if !ok {
		return session{}, false
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || !hmac.Equal(given, sign(key, text)) {
		return session{}, false
	}
	id, until, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(until, 10, 64)
	s := session{id, time.Unix(seconds, 0)}
	return s, err == nil && now.Before(s.until)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// cookie carries a session. Scripts do not see it, other sites cannot send it along with a
// form, and a link from a chat still opens a page.
func cookie(r *http.Request, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}
