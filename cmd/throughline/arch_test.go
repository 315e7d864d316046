package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "throughline"

// room is what a package of ours may know: the other rooms that it may reach, directly or
// through others, and what it must not import, with the reason. The table repeats
// docs/ARCHITECTURE.md, "Rooms"; a package that is not in it fails the test.
type room struct {
	reaches []string
	never   []ban
}

type ban struct {
	imports []string // a path; with a slash at its end, and all below it
	reason  string
}

var (
	noIO = ban{
		[]string{"os/", "net", "net/http/", "net/rpc/", "database/", "io/fs", "io/ioutil", "log/", "syscall", "embed"},
		"the core is pure: the same code runs live, in imports, in tests of flow files and in hindsight",
	}
	noHTTP = ban{
		[]string{"net/http"},
		"a view is values in, HTML out",
	}
)

var rooms = map[string]room{
	"flows":                    {never: []ban{noIO}},
	"flows/engine":             {reaches: []string{"flows"}, never: []ban{noIO}},
	"flows/mining":             {reaches: []string{"flows"}, never: []ban{{[]string{"net", "net/http/", "os/", "database/"}, "mining reads what it is given; opening files and sockets is the caller's"}}},
	"flows/alert":              {reaches: []string{"flows"}},
	"flows/store":              {reaches: []string{"flows", "flows/store/queries"}},
	"flows/store/queries":      {},
	"flows/store/chdb":         {},
	"migrations":               {},
	"ingest":                   {reaches: []string{"flows"}},
	"ingest/otlp":              {reaches: []string{"flows", "ingest"}},
	"ingest/event":             {reaches: []string{"flows", "ingest"}},
	"ingest/ingesttest":        {reaches: []string{"flows", "ingest"}}, // a publisher to test against
	"ingest/bus":               {reaches: []string{"flows"}},
	"web":                      {reaches: []string{"flows", "web/views", "web/assets"}},
	"web/auth":                 {reaches: []string{"flows", "web/views", "web/assets"}}, // flows through the views
	"web/views":                {reaches: []string{"flows"}, never: []ban{noHTTP}},
	"web/assets":               {},
	"cmd/throughline/simulate": {},
	"cmd/throughline/bench":    {},
	"cmd/throughline":          {reaches: []string{"*"}},
}

// homes are the rooms that a library belongs to; cmd/throughline wires and may use any.
var homes = map[string][]string{
	"github.com/ClickHouse/":                {"flows/store", "migrations"},
	"github.com/ebitengine/purego/":         {"flows/store/chdb"},
	"github.com/nats-io/":                   {"ingest/bus"},
	"github.com/prometheus/alertmanager/":   {"flows/alert"},
	"github.com/a-h/templ/":                 {"web", "web/views"},
	"github.com/gorilla/websocket/":         {"web", "cmd/throughline/bench"},
	"github.com/evanw/esbuild/":             {"web/assets"},
	"github.com/expr-lang/expr/":            {"flows"},
	"github.com/dchest/siphash/":            {"flows/engine"},
	"github.com/rickar/cal/":                {"flows"},
	"github.com/VictoriaMetrics/easyproto/": {"ingest/otlp", "ingest/bus"},
	"go.opentelemetry.io/collector/":        {"ingest/otlp"},
	"google.golang.org/grpc/":               {"ingest/otlp", "cmd/throughline/simulate"},
	"github.com/cloudevents/":               {"ingest/event", "cmd/throughline/simulate"},
	"github.com/alecthomas/kong/":           {},
}

var forbiddenNames = []string{"util", "utils", "common", "helper", "helpers", "types", "models", "misc", "base"}

type goPackage struct {
	ImportPath   string
	Dir          string
	Name         string
	Imports      []string
	Deps         []string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
}

func (p goPackage) room() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func TestRooms(t *testing.T) {
	for _, p := range listPackages(t) {
		r, ok := rooms[p.room()]
		if !ok {
			t.Errorf("%s has no room: say in docs/ARCHITECTURE.md and in the table here what it is for and whom it may know", p.ImportPath)
			continue
		}
		for _, dep := range p.Deps {
			other, ours := strings.CutPrefix(dep, module+"/")
			if ours && strings.HasSuffix(other, "test") {
				t.Errorf("%s reaches %s: that is for tests", p.room(), other)
			}
			if ours && !slices.Contains(r.reaches, other) && !slices.Contains(r.reaches, "*") {
				t.Errorf("%s reaches %s: it may reach %v; only cmd/throughline knows both ends of a seam", p.room(), other, r.reaches)
			}
		}
		for _, imported := range p.Imports {
			for _, b := range r.never {
				if slices.ContainsFunc(b.imports, func(pattern string) bool { return covers(pattern, imported) }) {
					t.Errorf("%s imports %s: %s", p.room(), imported, b.reason)
				}
			}
			for library, home := range homes {
				if covers(library, imported) && p.room() != "cmd/throughline" && !slices.Contains(home, p.room()) {
					t.Errorf("%s imports %s: that belongs to %v and cmd/throughline", p.room(), imported, home)
				}
			}
			if covers("testing/", imported) && !strings.HasSuffix(p.room(), "test") {
				t.Errorf("%s imports %s outside tests", p.room(), imported)
			}
		}
		if slices.Contains(forbiddenNames, p.Name) || slices.Contains(forbiddenNames, path.Base(p.ImportPath)) {
			t.Errorf("%s: %q is a kind of thing; name the package after what it is about", p.ImportPath, p.Name)
		}
	}
}

// covers says whether imported is the path or, where the pattern ends in a slash, below it.
func covers(pattern, imported string) bool {
	if strings.HasSuffix(pattern, "/") {
		return strings.HasPrefix(imported+"/", pattern)
	}
	return imported == pattern
}

// TestSources looks at what an import cannot show: who reads the environment and the
// clock, and tests that wait for real time.
func TestSources(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			f := parse(t, filepath.Join(p.Dir, name))
			test := strings.HasSuffix(name, "_test.go")
			where := p.room() + "/" + name
			if !ast.IsGenerated(f.syntax) && f.lines > 600 {
				t.Errorf("%s has %d lines; split it by concept (600 at most)", where, f.lines)
			}
			if !test && !strings.HasPrefix(p.room(), "cmd/") && f.uses("os", "Getenv", "LookupEnv") {
				t.Errorf("%s reads the environment; only cmd does, and passes it on", where)
			}
			if !test && slices.Contains([]string{"flows", "flows/engine", "flows/mining"}, p.room()) &&
				f.uses("time", "Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep") {
				t.Errorf("%s reads a clock; the core is given now", where)
			}
			if test && f.uses("time", "Sleep") && f.imports["testing/synctest"] == "" {
				t.Errorf("%s sleeps; wait for an event, or use a testing/synctest bubble", where)
			}
		}
	}
}

type source struct {
	syntax  *ast.File
	lines   int
	imports map[string]string // path to the name it has in the file
}

func parse(t *testing.T, file string) source {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	s := source{syntax: syntax, lines: bytes.Count(text, []byte("\n")), imports: map[string]string{}}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		s.imports[imported] = path.Base(imported)
		if spec.Name != nil {
			s.imports[imported] = spec.Name.Name
		}
	}
	return s
}

// uses says whether the file names one of the identifiers of an imported package.
func (s source) uses(imported string, names ...string) bool {
	local, ok := s.imports[imported]
	if !ok {
		return false
	}
	found := false
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return !found
		}
		if x, ok := selector.X.(*ast.Ident); ok && x.Name == local && slices.Contains(names, selector.Sel.Name) {
			found = true
		}
		return !found
	})
	return found
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Name,Imports,Deps,GoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatal(fmt.Errorf("go list found no packages"))
	}
	return all
}
