package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"testing"

	"throughline/flows/store/chdb"
	"throughline/migrations"
)

func TestMain(m *testing.M) {
	chdb.Main()
	os.Exit(run(m))
}

// run stops the engine that the tests shared, if they started it.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "store-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared = sync.OnceValues(func() (*chdb.Server, error) {
		lib, err := chdb.FindLib("")
		if err != nil {
			return nil, err
		}
		started = true
		return chdb.Start(context.Background(), chdb.Options{Lib: lib, Dir: dir})
	})
	code := m.Run()
	if started {
		if server, err := shared(); err == nil {
			if err := server.Stop(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, "stop the engine:", err)
				return 1
			}
		}
	}
	return code
}

var (
	shared  func() (*chdb.Server, error) // the engine of all tests here, started by the first that asks
	started bool
)

// openStore is a store on a fresh, migrated database of the shared engine.
func openStore(t testing.TB) *Store {
	t.Helper()
	server, err := shared()
	if err != nil {
		if !started {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	return storeOn(t, server, "t"+rand.Text())
}

func storeOn(t testing.TB, server *chdb.Server, database string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{
		Addr: []string{server.Addr()}, HTTP: true, Database: database, Username: chdb.User, Password: server.Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := migrations.Up(t.Context(), s.Root(), migrations.Options{Database: database}); err != nil {
		t.Fatal(err)
	}
	return s
}

// count is the answer of a query for one number.
func count(t testing.TB, s *Store, query string) uint64 {
	t.Helper()
	var n uint64
	if err := s.conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
