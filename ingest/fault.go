package ingest

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"throughline/flows"
)

// Reason is the kind of a fault, as a label of the counter of rejected signals.
type Reason string

// The reasons why one signal is rejected while the rest of its request goes on.
const (
	ReasonSyntax     Reason = "syntax"     // bytes that are not what the protocol says
	ReasonIdentity   Reason = "identity"   // an id that is missing or no id
	ReasonName       Reason = "name"       // missing or too long
	ReasonTime       Reason = "time"       // missing, unreadable or out of range
	ReasonText       Reason = "text"       // NUL bytes or invalid UTF-8
	ReasonAttributes Reason = "attributes" // too many
	ReasonNesting    Reason = "nesting"    // too deep
	ReasonKey        Reason = "key"        // a business key that cannot be one
	ReasonSystem     Reason = "system"     // a system that the sender may not speak for
)

// Fault is what is wrong with one signal. Its text is written for the sender.
type Fault struct {
	Reason Reason
	Text   string
}

func (f *Fault) Error() string { return f.Text }

// Faultf is a Fault with a formatted text.
func Faultf(reason Reason, format string, args ...any) error {
	return &Fault{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// Rejected counts the rejected signals of a request by reason.
type Rejected map[Reason]int

// Total is the number of rejected signals.
func (r Rejected) Total() int {
	n := 0
	for _, count := range r {
		n += count
	}
	return n
}

// Excerpt is s for an error text: quoted, and cut where it is long.
func Excerpt(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q… (%d bytes)", strings.ToValidUTF8(s[:most], "�"), len(s))
	}
	return fmt.Sprintf("%q", s)
}

// CheckName refuses a name that is too long or no text. field says whose it is.
func CheckName(field, s string) error {
	if len(s) > flows.MaxNameBytes {
		return Faultf(ReasonName, "%s: %d bytes; at most %d are taken", field, len(s), flows.MaxNameBytes)
	}
	return CheckText(field, s)
}

// CheckText refuses NUL bytes and invalid UTF-8, which neither JSON nor a browser can
// show as they are.
func CheckText(field, s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return Faultf(ReasonText, "%s: holds a NUL byte", field)
	}
	if !utf8.ValidString(s) {
		return Faultf(ReasonText, "%s: is not valid UTF-8", field)
	}
	return nil
}

// CheckFields checks every name and text in attributes or data, and their number and
// nesting. field says whose they are.
func CheckFields(field string, m map[string]any) error {
	left := flows.MaxAttributes
	return checkMap(field, m, 1, &left)
}

func checkMap(field string, m map[string]any, depth int, left *int) error {
	for name, v := range m {
		if err := CheckName(field+": a name", name); err != nil {
			return err
		}
		if err := checkValue(field, name, v, depth, left); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(field, name string, v any, depth int, left *int) error {
	if *left--; *left < 0 {
		return TooMany(field)
	}
	switch v := v.(type) {
	case string:
		if err := CheckText(field, v); err != nil {
			return Faultf(ReasonText, "%s (in %s)", err, Excerpt(name))
		}
	case map[string]any:
		if depth >= MaxDepth {
			return TooDeep(field)
		}
		return checkMap(field, v, depth+1, left)
	case []any:
		if depth >= MaxDepth {
			return TooDeep(field)
		}
		for _, e := range v {
			if err := checkValue(field, name, e, depth+1, left); err != nil {
				return err
			}
		}
	}
	return nil
}

// TooMany is the fault of more attributes than are taken.
func TooMany(field string) error {
	return Faultf(ReasonAttributes, "%s: more than %d attributes and fields, nested ones counted", field, flows.MaxAttributes)
}

// TooDeep is the fault of attributes nested deeper than is taken.
func TooDeep(field string) error {
	return Faultf(ReasonNesting, "%s: nested more than %d levels deep", field, MaxDepth)
}

// CheckSignal refuses an event that breaks a limit of names, texts or fields.
func CheckSignal(s *flows.Signal) error {
	for _, f := range [...]struct{ field, text string }{
		{"source", s.Source},
		{"id", s.ID},
		{"type", s.Name},
		{"system", s.System},
		{"environment", s.Environment},
		{"sequence", s.Sequence},
	} {
		if err := CheckName(f.field, f.text); err != nil {
			return err
		}
	}
	if s.Name == flows.ResolvedName {
		return Faultf(ReasonSyntax, "type: %s is a person's word; POST /api/v1/flows/{flow}/instances/{key}/resolve says it", s.Name)
	}
	if err := CheckFields("attributes", s.Attributes); err != nil {
		return err
	}
	return CheckFields("data", s.Data)
}
