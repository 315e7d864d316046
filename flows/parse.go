package flows

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Limits of one flow file. What is over a limit is a fault that says so.
const (
	MaxFlowBytes = 1 << 20
	MaxSteps     = 1000 // far above the 200 that a business meets
	maxFaults    = 100  // faults of one file that are told
	maxDepth     = 16   // nested lists and mappings
	maxIDBytes   = 128  // flow name, step id, key type, choice
)

var (
	flowFields = []string{
		"flow", "title", "capability", "owner", "runbook", "key", "links", "value", "segments", "idle", "expire",
		"reopen", "sampling", "holds", "steps", "objectives", "cases",
	}
	stepFields = []string{
		"id", "title", "system", "match", "after", "choice", "within", "each", "expect", "optional", "repeat", "start", "end",
	}
	matchFields = []string{"event", "span", "service", "source", "kind", "where"}
	valueFields = []string{"amount", "currency"}
	holdFields  = []string{"id", "from", "until", "at_most"}
	endWords    = []string{Completed.String(), Failed.String(), Cancelled.String()}

	flowNamePattern = regexp.MustCompile(`^[a-z0-9-]+$`)
	stepIDPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	webPattern      = regexp.MustCompile(`^https?://[^\s/?#][^\s]*$`)
	keyTypePattern  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
)

// Parse reads and checks a flow file that refers to no other file.
func Parse(file string, b []byte) (*Flow, []Fault) { return Refs{}.Parse(file, b) }

// Parse reads and checks a flow file (FLOWS.md section 2). It returns the flow, or every
// fault of the file in the order of their places; never both.
//
// The flow's version is a hash of the file's bytes; of a flow that uses calendars, or
// waits for systems with planned downtime, of those too.
func (r Refs) Parse(file string, b []byte) (*Flow, []Fault) {
	p := &parser{file: file, refs: r}
	var flow *Flow
	if root := p.document(b, "flow"); root != nil {
		flow = p.flow(root)
	}
	if len(p.faults) > 0 {
		return nil, p.sorted()
	}
	hash := sha256.New()
	hash.Write(b)
	hash.Write([]byte(referred(flow)))
	flow.Notes = p.notes
	flow.Version = hex.EncodeToString(hash.Sum(nil))[:12]
	return flow, nil
}

// sorted are the faults to tell, by place.
func (p *parser) sorted() []Fault {
	slices.SortStableFunc(p.faults, CompareFaults)
	if over := len(p.faults) - maxFaults; over > 0 {
		p.faults = p.faults[:maxFaults]
		last := &p.faults[maxFaults-1]
		last.Message += fmt.Sprintf("; and %d more faults", over)
	}
	return p.faults
}

// fileStarts say how a file of some kind begins.
var fileStarts = map[string]string{
	"flow":     "`flow: NAME`",
	"keys":     "a key type, as `order_id: {from: [order_id, order.id]}`",
	"calendar": "`zone: Europe/Berlin`",
	"systems":  "a system, as `carrier: {title: Carrier feed}`",
}

// parser collects the faults of one file.
type parser struct {
	file   string
	refs   Refs
	faults []Fault
	notes  []Fault
	noted  map[string]bool // subjects of notes
}

// note says once in a file that a subject, which is right, is not in use.
func (p *parser) note(n *yaml.Node, subject, message string) {
	if n == nil || p.noted[subject] {
		return
	}
	if p.noted == nil {
		p.noted = map[string]bool{}
	}
	p.noted[subject] = true
	p.notes = append(p.notes, Fault{File: p.file, Line: max(n.Line, 1), Col: max(n.Column, 1), Message: "`" + subject + "` " + message})
}

func (p *parser) fault(n *yaml.Node, format string, args ...any) {
	p.at(n.Line, n.Column, format, args...)
}

func (p *parser) at(line, col int, format string, args ...any) {
	p.faults = append(p.faults, Fault{File: p.file, Line: max(line, 1), Col: max(col, 1), Message: fmt.Sprintf(format, args...)})
}

// document reads the one YAML document of a file of some kind; nil where there is none to
// go on with.
func (p *parser) document(b []byte, kind string) *yaml.Node {
	switch {
	case len(b) > MaxFlowBytes:
		p.at(1, 1, "the file has %d bytes; at most %d are taken", len(b), MaxFlowBytes)
		return nil
	case !p.text(b):
		return nil
	}
	limits := loaderlimits.New(loaderlimits.DepthValue(maxDepth))
	loader, err := yaml.NewLoader(bytes.NewReader(b), yaml.WithPlugin(limits))
	if err != nil {
		p.syntax(err)
		return nil
	}
	var doc, more yaml.Node
	err = loader.Load(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		p.at(1, 1, "the file is empty; start it with %s", fileStarts[kind])
		return nil
	}
	if err != nil {
		p.syntax(err)
		return nil
	}
	if err := loader.Load(&more); err == nil {
		p.fault(&more, "a second document; keep one, and no `---`")
	} else if !errors.Is(err, io.EOF) {
		p.syntax(err)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		p.fault(root, "a %s file is a mapping; start it with %s", kind, fileStarts[kind])
		return nil
	}
	return root
}

// text refuses what is no text, by its place.
func (p *parser) text(b []byte) bool {
	line, col := 1, 1
	for rest := b; len(rest) > 0; col++ {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			p.at(line, col, "byte 0x%02x is not UTF-8; save the file as UTF-8", rest[0])
			return false
		case r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f:
			p.at(line, col, "control character 0x%02x; remove it", r)
			return false
		case r == '\n':
			line, col = line+1, 0
		}
		rest = rest[size:]
	}
	return true
}

func (p *parser) syntax(err error) {
	var at *yaml.LoadError
	if !errors.As(err, &at) {
		p.at(1, 1, "not YAML: %s", err)
		return
	}
	what := at.Message
	if at.ContextMsg != "" {
		what += " " + at.ContextMsg
	}
	p.at(at.Mark.Line, at.Mark.Column, "not YAML: %s", what)
}

// fields are the values of a mapping by name. Unknown and repeated names are faults.
func (p *parser) fields(n *yaml.Node, allowed []string) map[string]*yaml.Node {
	found := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		switch {
		case name.Kind != yaml.ScalarNode:
			p.fault(name, "a field's name must be a word; allowed here: %s", quoted(allowed))
		case !slices.Contains(allowed, name.Value):
			p.fault(name, "unknown field `%s`%s; allowed here: %s",
				shortened(name.Value), didYouMean(name.Value, allowed), quoted(allowed))
		case found[name.Value] != nil:
			p.fault(name, "field `%s` stands twice; keep one", name.Value)
		default:
			found[name.Value] = value
		}
	}
	return found
}

// str is the text of a scalar field, without spaces around it; "" where it is absent or
// at fault.
func (p *parser) str(n *yaml.Node, field string) string {
	if n == nil {
		return ""
	}
	switch {
	case n.Kind == yaml.AliasNode:
		p.fault(n, "`%s` is an alias; write the value out", field)
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		p.fault(n, "`%s` must be text", field)
	case n.Style&yaml.TaggedStyle != 0:
		p.fault(n, "`%s` has the tag %s; leave it out", field, shortened(n.Tag))
	case strings.TrimSpace(n.Value) == "":
		p.fault(n, "`%s` is empty; write something or leave it out", field)
	case len(n.Value) > MaxNameBytes && field != "where":
		p.fault(n, "`%s` has %d bytes; at most %d are taken", field, len(n.Value), MaxNameBytes)
	case strings.ContainsFunc(n.Value, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }):
		p.fault(n, "`%s` has a control character; remove it", field)
	default:
		return strings.TrimSpace(n.Value)
	}
	return ""
}

// word is a field that must follow a pattern.
func (p *parser) word(n *yaml.Node, field string, pattern *regexp.Regexp, example string) string {
	s := p.str(n, field)
	if s == "" {
		return ""
	}
	if len(s) > maxIDBytes || !pattern.MatchString(s) {
		p.fault(n, "`%s` cannot be `%s`; write at most %d characters of %s, as %s",
			field, shortened(s), maxIDBytes, strings.Trim(pattern.String(), "^$"), example)
		return ""
	}
	return s
}

// words is a field that is a list of texts.
func (p *parser) words(n *yaml.Node, field string, one func(*yaml.Node, string) string) []string {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		p.fault(n, "`%s` must be a list, as [a, b]", field)
		return nil
	}
	list := make([]string, 0, len(n.Content))
	for _, e := range n.Content {
		s := one(e, field)
		if s == "" {
			continue
		}
		if slices.Contains(list, s) {
			p.fault(e, "`%s` stands twice in `%s`; keep one", s, field)
			continue
		}
		list = append(list, s)
	}
	if len(n.Content) == 0 {
		p.fault(n, "`%s` is empty; write something or leave it out", field)
	}
	return list
}

func (p *parser) yes(n *yaml.Node, field string) bool {
	if n == nil {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		p.fault(n, "`%s` must be true or false", field)
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

func (p *parser) duration(n *yaml.Node, field string) time.Duration {
	if n == nil {
		return 0
	}
	if n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode {
		p.fault(n, "`%s` must be one duration; write it as 90s, 15m, 4h, 2d, 1d12h or 1w", field)
		return 0
	}
	s := p.str(n, field)
	if s == "" {
		return 0
	}
	d, err := ParseDuration(s)
	if err != nil {
		p.fault(n, "`%s`: %s", field, err)
		return 0
	}
	if d == 0 {
		p.fault(n, "`%s` must be more than 0; leave it out for no limit", field)
	}
	return d
}

// web is a field that pages link to: an address that a browser opens and nothing else.
func (p *parser) web(n *yaml.Node, field string) string {
	s := p.str(n, field)
	if s == "" {
		return ""
	}
	if !webPattern.MatchString(s) {
		p.fault(n, "`%s` must be a web address, as https://wiki.example.com/%s", field, field)
	}
	return s
}
