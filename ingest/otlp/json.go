package otlp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"throughline/flows"
	"throughline/ingest"
)

// OTLP/JSON is the JSON form of protobuf, but for ids, which are hex. Each span or record
// is read for itself, so that a broken one costs only itself.

// maxJSONValues bounds the JSON values of one span or record before it is decoded. An
// attribute takes three, in a span's events too.
const maxJSONValues = 1 << 16

// element decodes one span, record, resource or scope. Nothing stands for an empty one.
func element(raw json.RawMessage, what string, v any) error {
	if len(raw) == 0 {
		return nil
	}
	if !utf8.Valid(raw) {
		return ingest.Faultf(ingest.ReasonText, "%s: is not valid UTF-8", what)
	}
	values, depth := ingest.JSONShape(raw)
	if values > maxJSONValues {
		return ingest.TooMany(what)
	}
	// An attribute's value is three levels deep (array, element, its value's object) for
	// each of its own; the exact check comes when it is converted.
	if depth > 4*ingest.MaxDepth {
		return ingest.TooDeep(what)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		if fault, ok := errors.AsType[*ingest.Fault](err); ok {
			return fault
		}
		return ingest.Faultf(ingest.ReasonSyntax, "%s: not OTLP/JSON: %v", what, err)
	}
	return nil
}

// document decodes the levels of a request down to its items, which stay text.
func (m mapper) document(body []byte, v any) error {
	values, _ := ingest.JSONShape(body)
	if err := m.grow(ingest.JSONValueCost*values + len(body)); err != nil {
		return err
	}
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	detail := fmt.Sprintf("the body is not OTLP/JSON: %v", err)
	if bytes.HasPrefix(body, []byte("\ufeff")) {
		detail = "the body begins with a byte-order mark; send it without"
	} else if several(body) {
		detail = "the body has several documents, as files have; send each as a request of its own: one document is taken"
	}
	return ingest.Refuse(ingest.Invalid, detail)
}

// several says whether a body is JSON documents one behind the other.
func several(body []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(body))
	for n := 0; ; n++ {
		var one json.RawMessage
		if err := dec.Decode(&one); err != nil || n > 1 {
			return n > 1
		}
	}
}

type jsonResource struct {
	Attributes []jsonKeyValue `json:"attributes"`
}

func resourceOf(raw json.RawMessage) *resource {
	var j jsonResource
	if err := element(raw, "resource", &j); err != nil {
		return newResource(nil, err)
	}
	left := flows.MaxAttributes
	return newResource(attributesOf(j.Attributes, "resource attributes", &left))
}

func scopeOf(raw json.RawMessage) scope {
	var j struct{ Name, Version string }
	err := element(raw, "scope", &j)
	return scope{j.Name, j.Version, err}
}

type jsonKeyValue struct {
	Key   string    `json:"key"`
	Value jsonValue `json:"value"`
}

// jsonValue is an AnyValue.
type jsonValue struct {
	String *string     `json:"stringValue"`
	Bool   *bool       `json:"boolValue"`
	Int    *jsonInt    `json:"intValue"`
	Double *jsonDouble `json:"doubleValue"`
	Bytes  *string     `json:"bytesValue"`
	Array  *struct {
		Values []jsonValue `json:"values"`
	} `json:"arrayValue"`
	Map *struct {
		Values []jsonKeyValue `json:"values"`
	} `json:"kvlistValue"`
}

func attributesOf(list []jsonKeyValue, field string, left *int) (map[string]any, error) {
	if len(list) == 0 {
		return nil, nil
	}
	return mapOf(list, field, 1, left)
}

func mapOf(list []jsonKeyValue, field string, depth int, left *int) (map[string]any, error) {
	m := make(map[string]any)
	for i := range list {
		if *left--; *left < 0 {
			return nil, ingest.TooMany(field)
		}
		v, err := list[i].Value.value(field, depth, left)
		if err != nil {
			return nil, err
		}
		m[list[i].Key] = v
	}
	return m, nil
}

func (j *jsonValue) value(field string, depth int, left *int) (any, error) {
	switch {
	case j.String != nil:
		return *j.String, nil
	case j.Bool != nil:
		return *j.Bool, nil
	case j.Int != nil:
		return int64(*j.Int), nil
	case j.Double != nil:
		return float(float64(*j.Double)), nil
	case j.Bytes != nil:
		return *j.Bytes, nil // base64 in JSON, and with us
	case j.Array == nil && j.Map == nil:
		return nil, nil
	case depth >= ingest.MaxDepth:
		return nil, ingest.TooDeep(field)
	case j.Map != nil:
		return mapOf(j.Map.Values, field, depth+1, left)
	}
	list := make([]any, 0, min(len(j.Array.Values), flows.MaxAttributes))
	for i := range j.Array.Values {
		if *left--; *left < 0 {
			return nil, ingest.TooMany(field)
		}
		v, err := j.Array.Values[i].value(field, depth+1, left)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// jsonInt is an int64, as a number or as the string that the JSON form of protobuf
// prefers.
type jsonInt int64

func (n *jsonInt) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(unquote(b), 10, 64)
	*n = jsonInt(v)
	return numberFault(err, b, "a whole number of 64 bits")
}

// jsonUint is a uint64 in the same way; null and "" are 0.
type jsonUint uint64

func (n *jsonUint) UnmarshalJSON(b []byte) error {
	text := unquote(b)
	if text == "" || text == "null" {
		return nil
	}
	v, err := strconv.ParseUint(text, 10, 64)
	*n = jsonUint(v)
	return numberFault(err, b, "a time in nanoseconds since 1970")
}

// jsonDouble is a float64, also by the names of what JSON has no number for.
type jsonDouble float64

func (n *jsonDouble) UnmarshalJSON(b []byte) error {
	switch text := unquote(b); text {
	case "NaN":
		*n = jsonDouble(math.NaN())
	case "Infinity", "-Infinity":
		sign := 1
		if text[0] == '-' {
			sign = -1
		}
		*n = jsonDouble(math.Inf(sign))
	default:
		v, err := strconv.ParseFloat(text, 64)
		*n = jsonDouble(v)
		return numberFault(err, b, "a number")
	}
	return nil
}

// jsonEnum is an enum's number, or its name in names.
func jsonEnum(raw json.RawMessage, field, prefix string, names []string) (int32, error) {
	text := unquote(raw)
	if text == "" || text == "null" {
		return 0, nil
	}
	for i, name := range names {
		if text == prefix+strings.ToUpper(name) {
			return int32(i), nil
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, ingest.Faultf(ingest.ReasonSyntax, "%s: %s is not one of its names or numbers", field, ingest.Excerpt(text))
	}
	return int32(n), nil
}

func unquote(b []byte) string { return string(bytes.Trim(b, `"`)) }

func numberFault(err error, b []byte, what string) error {
	if err == nil {
		return nil
	}
	return ingest.Faultf(ingest.ReasonSyntax, "not OTLP/JSON: %s is not %s", ingest.Excerpt(string(b)), what)
}
