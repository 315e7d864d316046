package store

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Config says where ClickHouse is. The embedded engine speaks HTTP only.
type Config struct {
	Addr     []string // host:port; the first that answers is used
	HTTP     bool     // else the native protocol
	TLS      *tls.Config
	Database string // "throughline" where empty
	Username string
	Password string
	Cluster  string // name of the cluster whose replicas hold the tables; "" is a single server
}

// Store reads and writes the tables. It is safe for concurrent use.
type Store struct {
	conn     driver.Conn // bound to database
	root     driver.Conn // bound to none, so that it works before the database exists
	database string
	cluster  string
	http     bool
	versions sync.Map // *flows.Flow by flow and version; nil for one that cannot be read

	allByTime atomic.Bool // steps_by_time has what steps has
	hours     hours

	firsts     sync.Map // first by flow
	fewPlaces  uint64   // see there
	fewCarried int      // see there

	rolledFrom int // see there

	releases releases
}

const (
	dialTimeout = 10 * time.Second
	// writeTimeout bounds one write that comes without a deadline; readTimeout is how long
	// the server may stay silent. Both are far above what a healthy server needs.
	writeTimeout = time.Minute
	readTimeout  = time.Minute
	maxConns     = 16
)

var databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Open checks the configuration and makes ready to connect. It does not wait for the
// server, which may be away, at the start too: every call says so by an error that is
// Retryable. Ping asks for it, Root is for the migrations, which also create the database.
func Open(_ context.Context, c Config) (*Store, error) {
	c.Database = cmp.Or(c.Database, "throughline")
	if len(c.Addr) == 0 {
		return nil, errors.New("clickhouse: no address")
	}
	if !databaseName.MatchString(c.Database) {
		return nil, fmt.Errorf("clickhouse database %q: use letters, digits and underscores", c.Database)
	}
	root, err := clickhouse.Open(options(c, ""))
	if err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", err)
	}
	conn, err := clickhouse.Open(options(c, c.Database))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open clickhouse: %w", err), root.Close())
	}
	return &Store{conn: conn, root: root, database: c.Database, cluster: c.Cluster, http: c.HTTP, hours: hours{least: leastHeld, long: longRead}, fewPlaces: fewPlaces, fewCarried: fewCarried, rolledFrom: rolledFrom}, nil
}

// options are those of one pool of connections, bound to a database or to none.
func options(c Config, database string) *clickhouse.Options {
	o := &clickhouse.Options{
		Addr:             c.Addr,
		TLS:              c.TLS,
		Auth:             clickhouse.Auth{Database: database, Username: c.Username, Password: c.Password},
		DialTimeout:      dialTimeout,
		ReadTimeout:      readTimeout,
		MaxOpenConns:     maxConns,
		MaxIdleConns:     maxConns / 2,
		ConnOpenStrategy: clickhouse.ConnOpenInOrder, // one server at a time: what was written is read back
		Compression:      &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
		Settings: clickhouse.Settings{
			"async_insert": 0, // newer servers have it on; nil must mean stored, and tokens must hold
			// An insert has one row of each key nearly always. Looking for more, row by row, is two thirds of
			// what an insert into a replacing table costs; FINAL does it for parts that no merge has seen.
			"optimize_on_insert": 0,
		},
	}
	if c.HTTP {
		o.Protocol = clickhouse.HTTP
		o.Settings["cancel_http_readonly_queries_on_client_close"] = 1
	}
	return o
}

// Root is a connection that is bound to no database, for the migrations.
func (s *Store) Root() driver.Conn { return s.root }

// Database is the name of the database.
func (s *Store) Database() string { return s.database }

// Cluster is the name of the cluster, "" for a single server.
func (s *Store) Cluster() string { return s.cluster }

// Ping says whether the server answers and the database exists.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := s.conn.Ping(ctx); err != nil {
		return fmt.Errorf("ping clickhouse: %w", err)
	}
	return nil
}

// Close ends all connections. It may be called more than once.
func (s *Store) Close() error {
	return errors.Join(s.conn.Close(), s.root.Close())
}

// onCluster is what says in a change of the schema that it is for all servers.
func (s *Store) onCluster() string {
	if s.cluster == "" {
		return ""
	}
	return " ON CLUSTER `" + strings.ReplaceAll(s.cluster, "`", "``") + "`"
}
