package flows

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// Bounds of one condition. With calls and nested loops refused they bound the time and
// the memory of one evaluation: to about 50 ms with the worst of patterns.
const (
	maxWhereBytes  = 4 << 10
	maxWhereNodes  = 500
	maxWhereMemory = 100_000 // elements, as the expression machine counts
	maxWhereWork   = 1 << 18 // bytes of the largest value, times the operations that may go through it
	elementWork    = 16      // what a value costs as such, in bytes
)

// whereWords are what a condition may speak of by themselves.
var whereWords = []string{"name", "system", "outcome", "duration", "attributes"}

// whereFunctions are the functions a condition may call: pure, without a clock, and with
// results no larger than their arguments.
var whereFunctions = []string{
	"all", "any", "none", "one", "count", "sum", "len", "abs", "ceil", "floor", "round", "int", "float", "string", "trim",
	"trimPrefix", "trimSuffix", "upper", "lower", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix", "max", "min",
	"first", "last", "duration",
}

// Where is a compiled condition of a step's match: a boolean expression over a signal's
// name, system, outcome ("ok" or "error"), duration (a duration, compared as
// duration > duration("1s")) and attributes. It may be used by many goroutines.
//
// attributes.order.total, attributes["order.total"] and order.total are the same: the
// name is looked up as Signal.Lookup does. What is absent is nil.
type Where struct {
	source  string
	program *vm.Program
	names   []string // attributes spoken of, in the order of whereEnv.Values
	outcome bool
	scans   int       // operations that may go through a value
	inner   bool      // a loop goes through more than its elements
	idle    sync.Pool // of *whereRun
	faults  atomic.Uint64
}

// whereEnv is what a program sees. The field names cannot be written in a condition:
// whereNames puts them there.
type whereEnv struct {
	Name     string
	System   string
	Outcome  string
	Duration time.Duration
	Values   []any
}

type whereRun struct {
	machine vm.VM
	env     whereEnv
}

// whereError is a fault at a place of the condition's text.
type whereError struct {
	line, col int // from 1
	what      string
}

func (e *whereError) Error() string { return e.what }

// compileWhere checks and compiles a condition. Its errors are *whereError.
func compileWhere(source string) (*Where, error) {
	if len(source) > maxWhereBytes {
		return nil, &whereError{1, 1, fmt.Sprintf("`where` has %d bytes; at most %d are taken", len(source), maxWhereBytes)}
	}
	if strings.TrimSpace(source) == "" {
		return nil, &whereError{1, 1, "`where` is empty; leave it out, or write a condition such as outcome == \"ok\""}
	}
	names := &whereNames{}
	options := []expr.Option{
		expr.Env(whereEnv{}), expr.AsBool(), expr.MaxNodes(maxWhereNodes), expr.Patch(names), expr.DisableAllBuiltins(),
	}
	for _, f := range whereFunctions {
		options = append(options, expr.EnableBuiltin(f))
	}
	program, err := expr.Compile(source, options...)
	if first := names.first(); first != nil {
		return nil, first.whereError(source)
	}
	if err != nil {
		return nil, explainWhere(err)
	}
	w := &Where{source: source, program: program, names: names.names, outcome: names.outcome, scans: 1 + names.scans, inner: names.inner}
	w.idle.New = func() any {
		return &whereRun{machine: vm.VM{MemoryBudget: maxWhereMemory}, env: whereEnv{Values: make([]any, len(w.names))}}
	}
	return w, nil
}

// explainWhere turns the expression library's error into one sentence with a place.
func explainWhere(err error) *whereError {
	var at *file.Error
	if errors.As(err, &at) {
		return &whereError{max(at.Line, 1), at.Column + 1, "`where`: " + at.Message + meantInWhere(at.Message)}
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return &whereError{1, 1, "`where`: " + text + meantInWhere(text)}
}

// whereSlips are what people write out of habit of another language, by words of the
// expression library's error, and what they mean.
var whereSlips = []struct{ message, meant string }{
	{`Operator("=")`, "compare with `==`"},
	{`Operator("&")`, "write `and` or `&&`"},
	{"unexpected token EOF", "the condition ends too early"},
	{"bad number syntax", "write a duration as duration(\"15m\"), and a text in quotes"},
	{"time.Duration", "compare a duration with duration(\"15m\")"},
	{"expected bool", "compare it with something, as in outcome == \"ok\""},
	{"mismatched types string and int", "put a text in quotes"},
}

// meantInWhere is what to write instead, as the end of a sentence; empty where that is not
// known.
func meantInWhere(message string) string {
	for _, slip := range whereSlips {
		if strings.Contains(message, slip.message) {
			return "; " + slip.meant
		}
	}
	return ""
}

// String is the condition as it was written.
func (w *Where) String() string { return w.source }

// UsesOutcome says that the condition speaks of outcome, so that a span with an error is
// judged by it instead of being a failed try.
func (w *Where) UsesOutcome() bool { return w.outcome }

// Faults counts the evaluations that failed since the condition was compiled.
func (w *Where) Faults() uint64 { return w.faults.Load() }

// Eval says whether the condition holds for a signal. A condition that cannot be
// evaluated, as when it compares a number with an absent attribute, does not hold: the
// error says why.
func (w *Where) Eval(sig *Signal) (bool, error) {
	run := w.idle.Get().(*whereRun)
	defer w.idle.Put(run)
	run.env.Name, run.env.System, run.env.Outcome, run.env.Duration = sig.Name, sig.System, sig.Outcome(), sig.Duration
	for i, name := range w.names {
		v, _ := sig.Lookup(name)
		if number, ok := v.(json.Number); ok {
			v = comparable64(number)
		}
		run.env.Values[i] = v
	}
	if err := w.tooMuch(&run.env); err != nil {
		clear(run.env.Values)
		w.faults.Add(1)
		return false, fmt.Errorf("where %q of %s: %w", shortened(w.source), sig.Name, err)
	}
	result, err := run.machine.Run(w.program, &run.env)
	clear(run.env.Values) // the pool keeps no signal alive
	if err != nil {
		w.faults.Add(1)
		return false, fmt.Errorf("where %q of %s: %w", shortened(w.source), sig.Name, explainWhere(err))
	}
	holds, ok := result.(bool)
	return holds && ok, nil
}

// tooMuch says that evaluation may take too long: the values are too large for what the
// condition does with them.
func (w *Where) tooMuch(env *whereEnv) error {
	most, rounds := 0, 1
	if w.inner {
		most = max(len(env.Name), len(env.System))
	}
	for _, v := range env.Values {
		most = max(most, valueWork(v))
		if list, ok := v.([]any); ok && w.inner {
			rounds = max(rounds, len(list))
		}
	}
	if most > maxWhereWork || rounds*most*w.scans > maxWhereWork {
		return fmt.Errorf("an attribute of %d bytes is too much to go through %d times", most, rounds*w.scans)
	}
	return nil
}

func valueWork(v any) int {
	work := elementWork
	switch v := v.(type) {
	case string:
		work += len(v)
	case []any:
		for _, e := range v {
			work += valueWork(e)
		}
	case map[string]any:
		for name, e := range v {
			work += len(name) + valueWork(e)
		}
	}
	return work
}

// comparable64 is the nearest float of a number that no int64 or float64 holds exactly:
// good enough to compare with what a person writes in a condition.
func comparable64(n json.Number) any {
	if f, err := n.Float64(); err == nil {
		return f
	}
	return n.String()
}

// position is the index of an attribute's name in the values of a run.
func (n *whereNames) position(name string) int {
	if i := slices.Index(n.names, name); i >= 0 {
		return i
	}
	n.names = append(n.names, name)
	return len(n.names) - 1
}
