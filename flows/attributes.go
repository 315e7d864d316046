package flows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ErrTooManyFields is the fault of an object with more than MaxAttributes values.
var ErrTooManyFields = fmt.Errorf("more than %d attributes and fields, nested ones counted", MaxAttributes)

// DecodeObject reads a JSON object into the value kinds that signals carry: string,
// bool, int64, float64, json.Number (a number that neither of the two holds exactly),
// map[string]any, []any and nil. More than MaxAttributes values are ErrTooManyFields.
func DecodeObject(b []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("decode JSON object: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decode JSON object: more data after the object")
	}
	if err := Canonical(m); err != nil {
		return nil, err
	}
	return m, nil
}

// Canonical rewrites the numbers of a decoded object in place to the kinds that
// DecodeObject documents. More than MaxAttributes values are ErrTooManyFields.
func Canonical(m map[string]any) error {
	n := 0
	canonical(m, &n)
	if n > MaxAttributes {
		return ErrTooManyFields
	}
	return nil
}

func canonical(v any, n *int) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			*n++
			v[k] = canonical(e, n)
		}
	case []any:
		for i, e := range v {
			*n++
			v[i] = canonical(e, n)
		}
	case json.Number:
		return Number(string(v))
	}
	return v
}

// Number is the exact value of a JSON number: int64 where it is a whole number that
// fits, float64 where printing that gives the same text, else json.Number.
func Number(text string) any {
	var room [32]byte                     // longer ones go to the heap
	if strings.IndexByte(text, '.') < 0 { // an error would be memory for nothing
		if i, err := strconv.ParseInt(text, 10, 64); err == nil && string(strconv.AppendInt(room[:0], i, 10)) == text {
			return i
		}
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && string(strconv.AppendFloat(room[:0], f, 'f', -1, 64)) == text {
		return f
	}
	return json.Number(text)
}
