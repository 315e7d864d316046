// Package migrations holds the schema, one idempotent statement a file, and applies what
// is missing, in order. It goes forward only: ClickHouse has no transactions for DDL, so a
// migration that fails half-way is run again.
//
// A cluster is a set of replicas of one shard: with a cluster configured the statements
// run ON CLUSTER and the engines are the replicated ones.
package migrations

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Options say where the schema lives.
type Options struct {
	Database string
	Cluster  string // "" is a single server
}

// Migration is one step of the schema.
type Migration struct {
	Name    string
	Applied time.Time // zero where it is still to come
}

// The first two make the place where the others are recorded.
const bootstrap = 2

//go:embed *.sql
var files embed.FS

var (
	databasePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	clusterPattern  = regexp.MustCompile(`^[A-Za-z0-9_.{}-]+$`)
)

// Up applies what is missing and says what that was. conn must not be bound to the
// database, which the first migration creates. Two processes may do this at once.
func Up(ctx context.Context, conn driver.Conn, o Options) (applied []string, err error) {
	ms, err := render(o)
	if err != nil {
		return nil, err
	}
	for _, m := range ms[:bootstrap] {
		if err := conn.Exec(ctx, m.sql); err != nil {
			return nil, fmt.Errorf("apply migration %s: %w", m.name, err)
		}
	}
	done, err := recorded(ctx, conn, o)
	if err != nil {
		return nil, err
	}
	if err := refuseNewer(ms, done); err != nil {
		return nil, err
	}
	for i, m := range ms {
		if _, ok := done[m.name]; ok {
			continue
		}
		if i >= bootstrap {
			if err := conn.Exec(ctx, m.sql); err != nil {
				return applied, fmt.Errorf("apply migration %s: %w", m.name, err)
			}
		}
		record := "INSERT INTO " + o.Database + ".schema_migrations (name) VALUES ({name:String})"
		if err := conn.Exec(ctx, record, clickhouse.Named("name", m.name)); err != nil {
			return applied, fmt.Errorf("record migration %s: %w", m.name, err)
		}
		applied = append(applied, m.name)
	}
	return applied, nil
}

// Status lists all migrations in order. It changes nothing, and needs no database.
func Status(ctx context.Context, conn driver.Conn, o Options) ([]Migration, error) {
	ms, err := render(o)
	if err != nil {
		return nil, err
	}
	var tables uint64
	row := conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'schema_migrations'",
		clickhouse.Named("database", o.Database))
	if err := row.Scan(&tables); err != nil {
		return nil, fmt.Errorf("look for schema_migrations: %w", err)
	}
	var done map[string]time.Time
	if tables > 0 {
		if done, err = recorded(ctx, conn, o); err != nil {
			return nil, err
		}
	}
	list := make([]Migration, len(ms))
	for i, m := range ms {
		list[i] = Migration{Name: m.name, Applied: done[m.name]}
	}
	return list, nil
}

// statement is a migration ready to run.
type statement struct{ name, sql string }

// render fills in database, cluster and engines.
func render(o Options) ([]statement, error) {
	if !databasePattern.MatchString(o.Database) {
		return nil, fmt.Errorf("clickhouse database %q: use letters, digits and underscores", o.Database)
	}
	if o.Cluster != "" && !clusterPattern.MatchString(o.Cluster) {
		return nil, fmt.Errorf("clickhouse cluster %q: use letters, digits, dashes and underscores, or a {macro}", o.Cluster)
	}
	data := struct{ Database, OnCluster string }{Database: o.Database}
	if o.Cluster != "" {
		data.OnCluster = " ON CLUSTER '" + o.Cluster + "'"
	}
	t, err := template.New("").Funcs(functions(o.Cluster != "")).ParseFS(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("parse migrations: %w", err)
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(names)
	ms := make([]statement, len(names))
	for i, name := range names {
		var b strings.Builder
		if err := t.ExecuteTemplate(&b, name, data); err != nil {
			return nil, fmt.Errorf("render migration: %w", err)
		}
		ms[i] = statement{strings.TrimSuffix(name, ".sql"), b.String()}
	}
	return ms, nil
}

// functions are what differs between a single server and replicas. The window of
// deduplication holds far more inserts than can be in flight, and on replicas outlasts
// any pause of ours.
func functions(replicated bool) template.FuncMap {
	prefix, dedup := "", "non_replicated_deduplication_window = 1000"
	if replicated {
		prefix = "Replicated"
		dedup = "replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800"
	}
	return template.FuncMap{
		"engine": func(name string) string { return prefix + name },
		"dedup":  func() string { return dedup },
	}
}

func recorded(ctx context.Context, conn driver.Conn, o Options) (map[string]time.Time, error) {
	var rows []struct {
		Name    string    `ch:"name"`
		Applied time.Time `ch:"first"`
	}
	err := conn.Select(ctx, &rows, "SELECT name, min(applied) AS first FROM "+o.Database+".schema_migrations GROUP BY name")
	if err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", err)
	}
	done := make(map[string]time.Time, len(rows))
	for _, r := range rows {
		done[r.Name] = r.Applied
	}
	return done, nil
}

// refuseNewer keeps an old program from writing into tables that it does not know.
func refuseNewer(ms []statement, done map[string]time.Time) error {
	last := ms[len(ms)-1].name
	for name := range done {
		if name > last {
			return fmt.Errorf("the database has migration %s, newer than this program's last, %s: run the newer program", name, last)
		}
	}
	return nil
}
