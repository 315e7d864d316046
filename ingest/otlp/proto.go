package otlp

import (
	"encoding/base64"

	"github.com/VictoriaMetrics/easyproto"

	"throughline/flows"
	"throughline/ingest"
)

// The wire format is read here field by field, and not through generated types, for three
// reasons: a broken span costs only itself, nothing is allocated for bytes that are about
// to be refused, and it is five times as fast. Field numbers are those of
// opentelemetry/proto. Strings share memory with the body.

// fields calls visit for each field of a message.
func fields(src []byte, visit func(fc *easyproto.FieldContext) error) error {
	var fc easyproto.FieldContext
	for len(src) > 0 {
		var err error
		if src, err = fc.NextField(src); err != nil {
			return ingest.Faultf(ingest.ReasonSyntax, "not protobuf: %v", err)
		}
		if err := visit(&fc); err != nil {
			return err
		}
	}
	return nil
}

// wrongType is the fault of a field with another wire type than its own.
func wrongType(field string) error {
	return ingest.Faultf(ingest.ReasonSyntax, "not protobuf of OTLP: field %s has another type", field)
}

func readString(fc *easyproto.FieldContext, field string, to *string) error {
	s, ok := fc.String()
	if !ok {
		return wrongType(field)
	}
	*to = s
	return nil
}

func readMessage(fc *easyproto.FieldContext, field string, read func(src []byte) error) error {
	src, ok := fc.MessageData()
	if !ok {
		return wrongType(field)
	}
	return read(src)
}

func readFixed64(fc *easyproto.FieldContext, field string, to *uint64) error {
	n, ok := fc.Fixed64()
	if !ok {
		return wrongType(field)
	}
	*to = n
	return nil
}

func readEnum(fc *easyproto.FieldContext, field string, to *int32) error {
	n, ok := fc.Enum()
	if !ok {
		return wrongType(field)
	}
	*to = n
	return nil
}

func readID(fc *easyproto.FieldContext, field string, n int, to *string) error {
	b, ok := fc.Bytes()
	if !ok {
		return wrongType(field)
	}
	var err error
	*to, err = id(field, b, n)
	return err
}

// groups reads the three levels that traces and logs share: the request's resources, a
// resource's scopes, a scope's items. An error means that the levels cannot be told apart.
func groups(body []byte, item func(src []byte, res *resource, sc scope) error) error {
	return fields(body, func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		return readMessage(fc, "resource", func(src []byte) error { return readResourceGroup(src, item) })
	})
}

func readResourceGroup(src []byte, item func(src []byte, res *resource, sc scope) error) error {
	res, err := readResource(src)
	if err != nil {
		return err
	}
	return fields(src, func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 2 {
			return nil
		}
		return readMessage(fc, "scope", func(src []byte) error {
			sc := readScope(src)
			return fields(src, func(fc *easyproto.FieldContext) error {
				if fc.FieldNum != 2 {
					return nil
				}
				return readMessage(fc, "item", func(src []byte) error { return item(src, res, sc) })
			})
		})
	})
}

// readResource reads the resource of a group first, wherever in the group it stands. What
// is wrong inside it is the fault of its own items only.
func readResource(group []byte) (*resource, error) {
	src, _, err := easyproto.GetMessageData(group, 1)
	if err != nil {
		return nil, ingest.Faultf(ingest.ReasonSyntax, "not protobuf: resource: %v", err)
	}
	var attributes map[string]any
	left := flows.MaxAttributes
	err = fields(src, func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		return readAttribute(fc, "resource attributes", &attributes, &left)
	})
	return newResource(attributes, err), nil
}

func readScope(group []byte) scope {
	var sc scope
	src, _, err := easyproto.GetMessageData(group, 1)
	if err != nil {
		sc.fault = ingest.Faultf(ingest.ReasonSyntax, "not protobuf: scope: %v", err)
		return sc
	}
	sc.fault = fields(src, func(fc *easyproto.FieldContext) error {
		switch fc.FieldNum {
		case 1:
			return readString(fc, "scope name", &sc.name)
		case 2:
			return readString(fc, "scope version", &sc.version)
		}
		return nil
	})
	return sc
}

// readAttribute reads one KeyValue into a map that it makes when needed. left is how many
// values the signal may still have.
func readAttribute(fc *easyproto.FieldContext, field string, to *map[string]any, left *int) error {
	return readMessage(fc, field, func(src []byte) error {
		if *to == nil {
			*to = make(map[string]any)
		}
		return readKeyValue(src, field, *to, 1, left)
	})
}

func readKeyValue(src []byte, field string, to map[string]any, depth int, left *int) error {
	if *left--; *left < 0 {
		return ingest.TooMany(field)
	}
	var key string
	var v any
	err := fields(src, func(fc *easyproto.FieldContext) error {
		switch fc.FieldNum {
		case 1:
			return readString(fc, field, &key)
		case 2:
			return readMessage(fc, field, func(src []byte) (err error) {
				v, err = readValue(src, field, depth, left)
				return err
			})
		}
		return nil
	})
	to[key] = v
	return err
}

// readValue reads an AnyValue. Of several values in it the last counts.
func readValue(src []byte, field string, depth int, left *int) (v any, err error) {
	err = fields(src, func(fc *easyproto.FieldContext) error {
		ok := true
		switch fc.FieldNum {
		case 1:
			v, ok = fc.String()
		case 2:
			v, ok = fc.Bool()
		case 3:
			v, ok = fc.Int64()
		case 4:
			var f float64
			f, ok = fc.Double()
			v = float(f)
		case 5, 6:
			if depth >= ingest.MaxDepth {
				return ingest.TooDeep(field)
			}
			return readMessage(fc, field, func(src []byte) (err error) {
				if fc.FieldNum == 5 {
					v, err = readArray(src, field, depth+1, left)
				} else {
					v, err = readMap(src, field, depth+1, left)
				}
				return err
			})
		case 7:
			var b []byte
			b, ok = fc.Bytes()
			v = base64.StdEncoding.EncodeToString(b)
		}
		if !ok {
			return wrongType(field)
		}
		return nil
	})
	return v, err
}

func readArray(src []byte, field string, depth int, left *int) ([]any, error) {
	list := []any{}
	err := fields(src, func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		if *left--; *left < 0 {
			return ingest.TooMany(field)
		}
		return readMessage(fc, field, func(src []byte) error {
			v, err := readValue(src, field, depth, left)
			list = append(list, v)
			return err
		})
	})
	return list, err
}

func readMap(src []byte, field string, depth int, left *int) (map[string]any, error) {
	m := make(map[string]any)
	err := fields(src, func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		return readMessage(fc, field, func(src []byte) error { return readKeyValue(src, field, m, depth, left) })
	})
	return m, err
}
