package store

import (
	"context"
	_ "embed" // the query
	"fmt"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"throughline/flows"
)

//go:embed queries/releases.sql
var sqlReleases string

const (
	longestVersion = 200 // bytes; what is longer is no version
	releasesOfEach = 20  // of a service and environment that are read, the latest
	releasesAtMost = 5000
)

// releases writes down when services begin to send as another version.
type releases struct {
	mu    sync.Mutex // guards the others
	watch flows.ReleaseWatch
	owed  []flows.ReleaseSeen // not stored yet
}

// note looks at the resources of spans that are about to be stored. What it finds is stored
// when it returns nil; else it is owed, and the next call stores it.
func (r *releases) note(ctx context.Context, s *Store, blocks []flows.SpanBlock) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range blocks {
		blocks[i].EachVersion(func(service string, environment, version []byte, at flows.Time) {
			if len(version) <= longestVersion && r.watch.Saw(service, environment, version, at) {
				r.owed = append(r.owed, flows.ReleaseSeen{Service: service, Environment: string(environment), Version: string(version), At: at})
			}
		})
	}
	if len(r.owed) == 0 {
		return nil
	}
	err := insert(ctx, s, "releases", "", r.owed, []field[flows.ReleaseSeen]{
		words("service", func(o *flows.ReleaseSeen) string { return o.Service }),
		words("environment", func(o *flows.ReleaseSeen) string { return o.Environment }),
		strs("version", func(o *flows.ReleaseSeen) string { return o.Version }),
		instants("at", func(o *flows.ReleaseSeen) flows.Time { return o.At }),
	})
	if err != nil {
		return err // it says which table
	}
	r.owed = nil
	return nil
}

// Releases are the versions that services came to send as, the latest first; of each service
// the last ones only.
func (s *Store) Releases(ctx context.Context) ([]flows.Release, error) {
	seen, err := collect(ctx, s, seenTimeout, sqlReleases, func(rows driver.Rows) (o flows.ReleaseSeen, err error) {
		var at int64
		err = rows.Scan(&o.Service, &o.Environment, &o.Version, &at)
		o.At = flows.Time(at)
		return o, err
	}, clickhouse.Named("each", releasesOfEach), clickhouse.Named("limit", releasesAtMost))
	if err != nil {
		return nil, fmt.Errorf("releases: %w", err)
	}
	return flows.Releases(seen), nil
}
