package mining

import (
	"bufio"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"throughline/flows"
)

// maxXESDepth bounds how deep elements may nest.
const maxXESDepth = 32

// errStop says that the consumer wants no more rows.
var errStop = errors.New("stop")

// xesReader walks an XES document. Entities other than XML's five are refused by the
// decoder, so there is nothing that could grow or be fetched.
type xesReader struct {
	limit *bounded
	dec   *xml.Decoder
	open  []string // elements around the next token
	names Options
	clock clock
	n     int // events so far
	yield func(Row, error) bool
}

func readXES(plain *bufio.Reader, o Options) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		limit := &bounded{r: plain}
		x := &xesReader{limit: limit, dec: xml.NewDecoder(limit), names: o, yield: yield}
		err := x.document()
		if err == nil || errors.Is(err, errStop) {
			return
		}
		var syntax *xml.SyntaxError
		if errors.As(err, &syntax) {
			err = fmt.Errorf("line %d: %s", syntax.Line, syntax.Msg)
		}
		yield(Row{}, fmt.Errorf("read XES: %w", err))
	}
}

// next is the next start or end of an element; the name of an end is "".
func (x *xesReader) next() (xml.StartElement, error) {
	for {
		x.limit.reset()
		token, err := x.dec.RawToken() // without namespaces: twice as fast, and names suffice
		line, _ := x.dec.InputPos()
		if err != nil {
			if errors.Is(err, io.EOF) && len(x.open) > 0 {
				return xml.StartElement{}, fmt.Errorf("line %d: the file ends inside <%s>", line, x.open[len(x.open)-1])
			}
			return xml.StartElement{}, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(x.open) == maxXESDepth {
				return t, fmt.Errorf("line %d: elements nest deeper than %d", line, maxXESDepth)
			}
			x.open = append(x.open, t.Name.Local)
			return t, nil
		case xml.EndElement:
			last := len(x.open) - 1
			if last < 0 || x.open[last] != t.Name.Local {
				return xml.StartElement{}, fmt.Errorf("line %d: </%s> closes what is not open", line, t.Name.Local)
			}
			x.open = x.open[:last]
			return xml.StartElement{}, nil
		}
	}
}

// children calls each for the start of every element inside the one just started, and
// returns at its end. each must read its element to the end.
func (x *xesReader) children(each func(xml.StartElement) error) error {
	for {
		t, err := x.next()
		if err != nil {
			return err
		}
		if t.Name.Local == "" {
			return nil
		}
		if err := each(t); err != nil {
			return err
		}
	}
}

func (x *xesReader) skip(xml.StartElement) error { return x.children(x.skip) }

func (x *xesReader) document() error {
	root, err := x.next()
	if errors.Is(err, io.EOF) {
		return errors.New("the file has no <log>")
	}
	if err != nil {
		return err
	}
	if root.Name.Local != "log" {
		return fmt.Errorf("the file starts with <%s>; an XES file starts with <log>", root.Name.Local)
	}
	err = x.children(func(t xml.StartElement) error {
		if t.Name.Local == "trace" {
			return x.trace()
		}
		return x.skip(t) // attributes of the log, extensions, globals, classifiers
	})
	if err != nil {
		return err
	}
	if t, err := x.next(); err == nil {
		return fmt.Errorf("<%s> stands after the end of the log", t.Name.Local)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// trace reads one case. Its attributes stand before its events.
func (x *xesReader) trace() error {
	ofCase := map[string]any{}
	return x.children(func(t xml.StartElement) error {
		if t.Name.Local == "event" {
			return x.event(ofCase)
		}
		return x.attribute(t, "case:", ofCase)
	})
}

func (x *xesReader) event(ofCase map[string]any) error {
	line, _ := x.dec.InputPos()
	all := maps.Clone(ofCase)
	if err := x.children(func(t xml.StartElement) error { return x.attribute(t, "", all) }); err != nil {
		return err
	}
	row, err := x.row(all)
	x.n++
	row.Line = line
	if err != nil {
		row, err = Row{}, &RowError{line, err}
	}
	if !x.yield(row, err) {
		return errStop
	}
	return nil
}

// attribute reads an attribute and those nested in it, whose names are joined by a colon.
// Of two of one name the first counts.
func (x *xesReader) attribute(t xml.StartElement, prefix string, into map[string]any) error {
	key, value, has := "", "", false
	for _, a := range t.Attr {
		switch a.Name.Local {
		case "key":
			key = a.Value
		case "value":
			value, has = a.Value, true
		}
	}
	name := prefix
	if key != "" {
		name += key
		if _, known := into[name]; has && !known && len(into) <= flows.MaxAttributes { // one too many is told by the row
			into[name] = typed(t.Name.Local, value)
		}
		name += ":"
	}
	return x.children(func(t xml.StartElement) error { return x.attribute(t, name, into) })
}

// typed is a value as its element says; text where it does not hold to that.
func typed(element, value string) any {
	switch element {
	case "int":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return n
		}
	case "float":
		if f, err := strconv.ParseFloat(value, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
	case "boolean":
		if b, err := strconv.ParseBool(value); err == nil {
			return b
		}
	}
	return value
}

// row takes the parts of a row out of an event's attributes.
func (x *xesReader) row(all map[string]any) (Row, error) {
	for name, v := range all {
		if text, ok := v.(string); ok {
			if err := checkText(name, text); err != nil {
				return Row{}, err
			}
		}
	}
	caseID, err := take(all, "case", x.names.Case, []string{"case:concept:name"})
	if err != nil {
		return Row{}, err
	}
	activity, err := take(all, "activity", x.names.Activity, []string{"concept:name"})
	if err != nil {
		return Row{}, err
	}
	text, err := take(all, "time", x.names.Time, []string{"time:timestamp"})
	if err != nil {
		return Row{}, err
	}
	at, err := x.clock.parse(text)
	if err != nil {
		return Row{}, err
	}
	row := Row{Case: caseID, Activity: activity, Time: at, Sequence: strconv.Itoa(x.n), Attributes: all}
	sequence, explicit := takeOne(all, x.names.Sequence, sequenceNames)
	if explicit {
		row.Sequence = sequence
	} else if x.names.Sequence != "" {
		return Row{}, lacks(all, "sequence", x.names.Sequence)
	}
	return row, row.finish(explicit)
}

// take removes the attribute that holds a part of the row.
func take(all map[string]any, part, asked string, usual []string) (string, error) {
	if text, ok := takeOne(all, asked, usual); ok {
		return text, nil
	}
	return "", lacks(all, part, cmp.Or(asked, usual[0]))
}

// takeOne finds and removes an attribute. A name that was asked for may be one of the
// event or of its trace.
func takeOne(all map[string]any, asked string, usual []string) (string, bool) {
	names := usual
	if asked != "" {
		names = []string{asked, "case:" + asked}
	}
	for _, name := range names {
		if text, ok := flows.Text(all[name]); ok {
			delete(all, name)
			return strings.TrimSpace(text), true
		}
	}
	return "", false
}

func lacks(all map[string]any, part, name string) error {
	return fmt.Errorf("the event has no %s (%s); it has %s", part, name, listed(slices.Sorted(maps.Keys(all))))
}
