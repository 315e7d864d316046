package auth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func tokensIn(t *testing.T, dir string) *Tokens {
	t.Helper()
	tokens, err := OpenTokens(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func create(t *testing.T, tokens *Tokens, name string, scope Scope) (string, Token) {
	t.Helper()
	plain, made, err := tokens.Create(Token{Name: name, Scope: scope}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return plain, made
}

func TestTokenIsKnownUntilRevoked(t *testing.T) {
	dir := t.TempDir()
	server, command := tokensIn(t, dir), tokensIn(t, dir) // two processes
	plain, made := create(t, command, "webshop", Ingest)
	got, err := server.Identify(plain)
	if err != nil || got.ID != made.ID || got.Name != "webshop" || got.Scope != Ingest {
		t.Fatalf("a token that another process made: %+v, %v", got, err)
	}
	last := plain[len(plain)-1]
	flipped := byte('0')
	if last == flipped {
		flipped = '1'
	}
	for _, wrong := range []string{
		"", "tl_", plain[:len(plain)-1], plain[:len(plain)-1] + string(flipped), plain + "0", strings.ToUpper(plain),
		"tl_" + strings.Repeat("0", len(plain)-3), made.ID,
	} {
		if _, err := server.Identify(wrong); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q is known: %v", wrong, err)
		}
	}
	if _, err := command.Revoke("webshop"); err != nil {
		t.Fatal(err)
	}
	if changed, err := server.Look(); err != nil || !changed {
		t.Errorf("revoked by another process: %v, %v", changed, err)
	}
	if _, err := server.Identify(plain); !errors.Is(err, ErrUnknown) {
		t.Errorf("a revoked token: %v", err)
	}
	if changed, err := server.Look(); err != nil || changed {
		t.Errorf("nothing changed since: %v, %v", changed, err)
	}
}

// TestSecretsAreNotKept: who reads the data folder can come in with nothing that is in it.
func TestSecretsAreNotKept(t *testing.T) {
	dir := t.TempDir()
	tokens := tokensIn(t, dir)
	plain, _ := create(t, tokens, "anna", Admin)
	secret := plain[len(plain)-2*secretBytes:]
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), secret) {
			t.Errorf("%s holds the secret", file)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	for _, one := range tokens.List() {
		if one.Hash != "" {
			t.Error("the list shows a hash")
		}
		if _, err := tokens.Identify(one.Hash); err == nil {
			t.Error("a hash is taken for a token")
		}
	}
}

func TestTokensAtOnce(t *testing.T) {
	dir := t.TempDir()
	var makers sync.WaitGroup
	plains := make([]string, 20)
	for i := range plains {
		maker := tokensIn(t, dir)
		makers.Go(func() {
			var err error
			if plains[i], _, err = maker.Create(Token{Name: fmt.Sprint("token ", i), Scope: Read}, time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	makers.Wait()
	server := tokensIn(t, dir)
	for i, plain := range plains {
		if _, err := server.Identify(plain); err != nil {
			t.Errorf("token %d is lost: %v", i, err)
		}
	}
}

func TestBadTokensAreRefused(t *testing.T) {
	tokens := tokensIn(t, t.TempDir())
	create(t, tokens, "taken", Read)
	for _, bad := range []Token{
		{Name: "", Scope: Read},
		{Name: " ", Scope: Read},
		{Name: "a\nb", Scope: Read},
		{Name: strings.Repeat("x", maxName+1), Scope: Read},
		{Name: "x", Scope: "root"},
		{Name: "x", Scope: Read, System: "carrier"},
		{Name: "x", Scope: Admin, Rate: 5},
		{Name: "x", Scope: Ingest, Rate: -1},
		{Name: "x", Scope: Ingest, System: "\xff"},
		{Name: "taken", Scope: Ingest},
	} {
		_, _, err := tokens.Create(bad, time.Now())
		if _, ok := errors.AsType[*InputError](err); !ok {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := tokens.Revoke("nobody"); err == nil {
		t.Error("what is not there was revoked")
	}
	if n := len(tokens.List()); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

// TestBrokenFile: what was known stays, and nothing is written over it.
func TestBrokenFile(t *testing.T) {
	dir := t.TempDir()
	tokens := tokensIn(t, dir)
	plain, _ := create(t, tokens, "anna", Read)
	file := filepath.Join(dir, tokensFile)
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Look(); err == nil {
		t.Error("a broken file was taken")
	}
	if _, err := tokens.Identify(plain); err != nil {
		t.Errorf("a known token: %v", err)
	}
	if _, _, err := tokens.Create(Token{Name: "bert", Scope: Read}, time.Now()); err == nil {
		t.Error("a broken file was written over")
	}
	if _, err := OpenTokens(dir); err == nil {
		t.Error("a broken file was opened")
	}
}

func TestScopes(t *testing.T) {
	for scope, want := range map[Scope]string{Ingest: "ingest", Read: "read", Operate: "read operate", Admin: "ingest read operate admin", "": "", "root": ""} {
		var got []string
		for _, need := range Scopes() {
			if scope.Allows(need) {
				got = append(got, string(need))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q may %v, want %s", scope, got, want)
		}
	}
}

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer x": "x", "bearer x": "x", " BEARER  x ": "x", "": "", "Bearer": "", "Bearer ": "", "Basic eDp5": "", "x": "",
	} {
		got, err := Bearer(header)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", header, got, err)
		}
	}
}
