package bus

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/VictoriaMetrics/easyproto"

	"throughline/flows"
)

// A value is a message with at most one of these fields; nil has none. An entry of a map
// is a value with its key.
const (
	valueString = 1
	valueBool   = 2
	valueInt    = 3 // zigzag
	valueFloat  = 4
	valueNumber = 5 // a JSON number kept as its text
	valueMap    = 6 // repeated entry = 1
	valueList   = 7 // repeated value = 1
	entryKey    = 8

	element = 1 // of a map or list
)

// maxDepth of nested values. Ingest counts nested values and takes at most
// flows.MaxAttributes of them, so nothing it accepts is deeper.
const maxDepth = flows.MaxAttributes + 8

// errMalformed says that bytes are not what the encoder writes.
var errMalformed = errors.New("malformed")

// appendMap writes m as field num; a nil map is not written, so that it stays nil.
func appendMap(mm *easyproto.MessageMarshaler, num uint32, m map[string]any, depth int) error {
	if m == nil {
		return nil
	}
	if depth > maxDepth {
		return fmt.Errorf("values nested deeper than %d", maxDepth)
	}
	child := mm.AppendMessage(num)
	for k, v := range m {
		entry := child.AppendMessage(element)
		entry.AppendString(entryKey, k)
		if err := appendValue(entry, v, depth+1); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	return nil
}

func appendValue(mm *easyproto.MessageMarshaler, v any, depth int) error {
	switch v := v.(type) {
	case nil:
	case string:
		mm.AppendString(valueString, v)
	case bool:
		mm.AppendBool(valueBool, v)
	case int64:
		mm.AppendSint64(valueInt, v)
	case float64:
		mm.AppendDouble(valueFloat, v)
	case json.Number:
		mm.AppendString(valueNumber, string(v))
	case map[string]any:
		if v == nil {
			v = map[string]any{}
		}
		return appendMap(mm, valueMap, v, depth)
	case []any:
		if depth > maxDepth {
			return fmt.Errorf("values nested deeper than %d", maxDepth)
		}
		list := mm.AppendMessage(valueList)
		for _, e := range v {
			if err := appendValue(list.AppendMessage(element), e, depth+1); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("a value of type %T cannot be carried", v)
	}
	return nil
}

// decoder reads messages. Texts share the memory of what is read.
type decoder struct {
	last [signalEnvironment + 1]string // words of the signal before, by field
	keys []flows.Key                   // the array that the next ones go into, behind those that were read
	room []byte                        // of what was unpacked and is referred to; nil where nothing is
}

// fields calls f for each field of a message.
func fields(src []byte, f func(fc *easyproto.FieldContext) error) error {
	var fc easyproto.FieldContext
	for len(src) > 0 {
		var err error
		if src, err = fc.NextField(src); err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		if err := f(&fc); err != nil {
			return err
		}
	}
	return nil
}

// The functions below read fields in loops of their own: values are most of what is
// decoded, and a function for each field would take memory for each value.

func (d *decoder) mapOf(fc *easyproto.FieldContext, depth int) (map[string]any, error) {
	src, ok := fc.MessageData()
	if !ok || depth > maxDepth {
		return nil, errMalformed
	}
	m := map[string]any{}
	var at easyproto.FieldContext
	for len(src) > 0 {
		var entry []byte
		var err error
		if entry, src, err = elementOf(&at, src); err != nil {
			return nil, err
		}
		key, v, err := d.value(entry, depth+1)
		if err != nil {
			return nil, err
		}
		m[key] = v
	}
	return m, nil
}

// elementOf reads the next element of a map or list.
func elementOf(fc *easyproto.FieldContext, src []byte) (entry, rest []byte, err error) {
	if rest, err = fc.NextField(src); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	entry, ok := fc.MessageData()
	if !ok || fc.FieldNum != element {
		return nil, nil, errMalformed
	}
	return entry, rest, nil
}

// value reads a value, and the key it has as an entry of a map.
func (d *decoder) value(src []byte, depth int) (key string, v any, err error) {
	var fc easyproto.FieldContext
	for len(src) > 0 {
		if src, err = fc.NextField(src); err != nil {
			return "", nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		var text string
		var ok bool
		switch fc.FieldNum {
		case entryKey:
			text, ok = fc.String()
			key = text
		case valueString:
			text, ok = fc.String()
			v = text
		case valueBool:
			v, ok = fc.Bool()
		case valueInt:
			v, ok = fc.Sint64()
		case valueFloat:
			v, ok = fc.Double()
		case valueNumber:
			text, ok = fc.String()
			v = json.Number(text)
		case valueMap:
			v, err = d.mapOf(&fc, depth)
			ok = err == nil
		case valueList:
			v, err = d.list(&fc, depth)
			ok = err == nil
		}
		if err == nil && !ok {
			err = errMalformed
		}
		if err != nil {
			return "", nil, err
		}
	}
	return key, v, nil
}

func (d *decoder) list(fc *easyproto.FieldContext, depth int) ([]any, error) {
	src, ok := fc.MessageData()
	if !ok || depth > maxDepth {
		return nil, errMalformed
	}
	list := []any{}
	var at easyproto.FieldContext
	for len(src) > 0 {
		var entry []byte
		var err error
		if entry, src, err = elementOf(&at, src); err != nil {
			return nil, err
		}
		_, v, err := d.value(entry, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}
