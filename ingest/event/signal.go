package event

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"throughline/flows"
	"throughline/ingest"
)

// signal maps the members of one event, as in the JSON format: attributes, extensions,
// and data or data_base64.
//
// The SDK's own JSON reader is not used: it rounds numbers, rewrites the source, and
// panics on data_base64 that is no string. Its rules are.
func (m *mapper) signal(fields map[string]any) (flows.Signal, error) {
	if err := checkVersion(fields); err != nil {
		return flows.Signal{}, err
	}
	text := make(map[string]string, len(attributeNames))
	for _, name := range attributeNames {
		s, err := textOf(fields, name)
		if err != nil {
			return flows.Signal{}, err
		}
		text[name] = s
	}
	if err := validate(text); err != nil {
		return flows.Signal{}, err
	}
	s := flows.Signal{
		Kind: flows.Event, Source: text["source"], ID: text["id"], Name: text["type"], System: text["source"],
		Time: m.received, Received: m.received,
	}
	if err := setTime(&s, text["time"]); err != nil {
		return flows.Signal{}, err
	}
	if err := setData(&s, fields, text["datacontenttype"]); err != nil {
		return flows.Signal{}, err
	}
	if err := setExtensions(&s, fields, text["subject"]); err != nil {
		return flows.Signal{}, err
	}
	if err := ingest.CheckSignal(&s); err != nil {
		return flows.Signal{}, err
	}
	err := m.rules.AssignKeys(&s)
	return s, err
}

// attributeNames are the attributes of CloudEvents 1.0, all of them strings, beside
// specversion.
var attributeNames = [...]string{"id", "source", "type", "datacontenttype", "dataschema", "subject", "time"}

func checkVersion(fields map[string]any) error {
	switch v := fields["specversion"]; v {
	case "1.0":
		return nil
	case nil:
		return ingest.Faultf(ingest.ReasonSyntax, "specversion: is missing; an event says \"specversion\": \"1.0\"")
	default:
		version, _ := flows.Text(v)
		return ingest.Faultf(ingest.ReasonSyntax, "specversion: %s is not taken; send CloudEvents 1.0", ingest.Excerpt(version))
	}
}

// textOf is the string member name; absent and null are "".
func textOf(fields map[string]any, name string) (string, error) {
	switch v := fields[name].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	default:
		return "", ingest.Faultf(ingest.ReasonSyntax, "%s: is not a string", name)
	}
}

// validate applies the rules of CloudEvents 1.0.
func validate(text map[string]string) error {
	// First what the rules below would quote in full.
	for _, name := range attributeNames {
		if err := ingest.CheckName(name, text[name]); err != nil {
			return err
		}
	}
	ec := cloudevents.EventContextV1{ID: text["id"], Type: text["type"]}
	if text["source"] != "" {
		source := types.ParseURIRef(text["source"])
		if source == nil {
			return ingest.Faultf(ingest.ReasonIdentity, "source: %s is not a URI reference", ingest.Excerpt(text["source"]))
		}
		ec.Source = *source
	}
	if schema := text["dataschema"]; schema != "" {
		if ec.DataSchema = types.ParseURI(schema); ec.DataSchema == nil {
			return ingest.Faultf(ingest.ReasonSyntax, "dataschema: %s is not a URI", ingest.Excerpt(schema))
		}
	}
	if contentType := text["datacontenttype"]; contentType != "" {
		ec.DataContentType = &contentType
	}
	faults := ec.Validate()
	for _, name := range attributeNames { // one fault, always the same one
		if err, ok := faults[name]; ok {
			reason := ingest.ReasonSyntax
			if name == "id" || name == "source" {
				reason = ingest.ReasonIdentity
			} else if name == "type" {
				reason = ingest.ReasonName
			}
			return ingest.Faultf(reason, "%s: %v", name, err)
		}
	}
	return nil
}

func setTime(s *flows.Signal, text string) error {
	if text == "" {
		return nil
	}
	t, err := types.ParseTime(text)
	if err != nil {
		return ingest.Faultf(ingest.ReasonTime, "time: %s is not RFC 3339, for example 2026-11-22T10:00:00Z", ingest.Excerpt(text))
	}
	if err := flows.CheckRange(t); err != nil {
		return ingest.Faultf(ingest.ReasonTime, "time: %v", err)
	}
	s.Time = flows.At(t)
	return nil
}

// setData takes data that is a JSON object. Other payloads are checked, not kept: no flow
// can look into them.
func setData(s *flows.Signal, fields map[string]any, contentType string) error {
	encoded, err := textOf(fields, "data_base64")
	if err != nil {
		return err
	}
	if _, both := fields["data"]; encoded != "" {
		if both {
			return ingest.Faultf(ingest.ReasonSyntax, "data_base64: there is data too; send one of them")
		}
		media, _, _ := mime.ParseMediaType(contentType) // validate has seen it
		if err := decodeBase64(fields, encoded, media); err != nil {
			return err
		}
	}
	s.Data, _ = fields["data"].(map[string]any)
	return nil
}

func decodeBase64(fields map[string]any, encoded, media string) error {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ingest.Faultf(ingest.ReasonSyntax, "data_base64: is not base64: %v", err)
	}
	switch {
	case isJSON(media):
		return decodeJSONData(fields, data)
	case media == "" && json.Valid(data): // the type is not said, and JSON is its default
		return decodeJSONData(fields, data)
	}
	return nil
}

// decodeJSONData puts data into fields where it is an object.
func decodeJSONData(fields map[string]any, data []byte) error {
	if !utf8.Valid(data) {
		return ingest.Faultf(ingest.ReasonText, "data: is not valid UTF-8")
	}
	values, depth := ingest.JSONShape(data)
	if depth > ingest.MaxDepth {
		return ingest.TooDeep("data")
	}
	if values > 2*flows.MaxAttributes {
		return ingest.TooMany("data")
	}
	if !json.Valid(data) {
		return ingest.Faultf(ingest.ReasonSyntax, "data: is not JSON, which its content type says it is")
	}
	if !strings.HasPrefix(strings.TrimLeft(string(data), " \t\r\n"), "{") {
		return nil
	}
	object, err := flows.DecodeObject(data)
	if err != nil {
		return ingest.Faultf(ingest.ReasonAttributes, "data: %v", err)
	}
	fields["data"] = object
	return nil
}

func isJSON(media string) bool {
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

// setExtensions keeps everything that is no attribute of the specification.
func setExtensions(s *flows.Signal, fields map[string]any, subject string) error {
	s.Attributes = make(map[string]any, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) { // of two faults the same one is named each time
		v := fields[name]
		if v == nil || name == "specversion" || name == "data" || name == "data_base64" || slices.Contains(attributeNames[:], name) {
			continue
		}
		if !extensionName(name) {
			return ingest.Faultf(ingest.ReasonName, "extension %s: a name has letters, digits, and _ - . only", ingest.Excerpt(name))
		}
		switch v.(type) {
		case map[string]any, []any:
			return ingest.Faultf(ingest.ReasonSyntax, "extension %s: is not a string, number or boolean", ingest.Excerpt(name))
		}
		s.Attributes[name] = v
	}
	if subject != "" {
		s.Attributes["subject"] = subject
	}
	readExtensions(s)
	return nil
}

// readExtensions reads those that have a meaning here.
func readExtensions(s *flows.Signal) {
	sequence, _ := s.Attribute("sequence")
	s.Sequence, _ = flows.Text(sequence)
	outcome, _ := s.Attribute("outcome")
	s.Failed = outcome == "error"
	parent, _ := s.Attribute("traceparent")
	if parent, ok := parent.(string); ok {
		s.TraceID, s.SpanID = traceparent(parent)
	}
}

// extensionName takes more than CloudEvents' lower-case letters and digits, because a key
// type like order_id may stand as an extension of that very name.
func extensionName(name string) bool {
	return name != "" && len(name) <= flows.MaxNameBytes && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '.')
	})
}

// traceparent reads a W3C trace context; one that is none gives "" (as the standard asks)
// and stays an attribute.
func traceparent(s string) (traceID, spanID string) {
	parts := strings.Split(s, "-")
	if len(parts) < 4 || len(parts[0]) != 2 || parts[0] == "ff" || len(parts[1]) != 32 || len(parts[2]) != 16 {
		return "", ""
	}
	for _, id := range parts[1:3] {
		if strings.Trim(id, "0123456789abcdef") != "" || strings.Trim(id, "0") == "" {
			return "", ""
		}
	}
	return parts[1], parts[2]
}
