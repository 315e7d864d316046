package web

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

type document struct {
	Paths map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Parameters  []struct {
			Name, In string
			Required bool
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema map[string]any }
		}
	}
	Components struct{ Schemas map[string]map[string]any }
}

func readDocument(t *testing.T, h *house) document {
	t.Helper()
	var doc document
	if err := json.Unmarshal(h.get(t, "/api/openapi.json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestDocumentedCallsAreServed asks for every documented path, and looks for routes that
// are not documented.
func TestDocumentedCallsAreServed(t *testing.T) {
	taken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	h := newHouse(t, func(o *Options) {
		o.Events, o.Import, o.Backfill, o.Erase, o.DeadLetters, o.Alertmanager, o.Metrics, o.Tokens, o.OnCall = taken, taken, taken, taken, taken, taken, taken, taken, &desk{}
		o.Resolve = func(context.Context, *flows.Flow, *flows.InstanceRecord, string) error { return nil }
	})
	doc := readDocument(t, h)
	var documented []string
	for path, methods := range doc.Paths {
		for method, call := range methods {
			pattern := strings.ToUpper(method) + " " + path
			documented = append(documented, pattern)
			r := httptest.NewRequestWithContext(t.Context(), strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path), nil)
			if _, got := h.mux.Handler(r); got != pattern {
				t.Errorf("%s is served by %q", pattern, got)
			}
			if call.OperationID == "" || len(call.Responses) == 0 {
				t.Errorf("%s: no operationId or no responses", pattern)
			}
			for _, p := range call.Parameters {
				if p.In == "path" && !strings.Contains(path, "{"+p.Name+"}") {
					t.Errorf("%s has no {%s}", path, p.Name)
				}
			}
		}
	}
	routes, err := os.ReadFile("server.go")
	if err != nil {
		t.Fatal(err)
	}
	served := regexp.MustCompile(`"((?:GET|POST|DELETE) /(?:api/|healthz|readyz|metrics)[^"]*)"`).FindAllSubmatch(routes, -1)
	for _, match := range served {
		if !slices.Contains(documented, string(match[1])) {
			t.Errorf("%s is not documented", match[1])
		}
	}
	if len(served) < 10 {
		t.Errorf("found only %d routes in server.go", len(served))
	}
}

// TestAnswersAreAsDocumented holds real answers against their schemas. Names that a schema
// does not know are faults too.
func TestAnswersAreAsDocumented(t *testing.T) {
	h := filled(t)
	doc := readDocument(t, h)
	schemaOf := func(path string) map[string]any {
		return doc.Paths[path]["get"].Responses["200"].Content["application/json"].Schema
	}
	for name, target := range calls {
		path := target
		if before, _, ok := strings.Cut(path, "?"); ok {
			path = before
		}
		path = strings.NewReplacer("order-to-cash", "{flow}", "SO-1", "{key}").Replace(path)
		var answer any
		if err := json.Unmarshal(h.get(t, target).Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		for _, fault := range doc.check(name, schemaOf(path), answer) {
			t.Error(fault)
		}
	}
	alert := asMap(t, alertMessage{"alert", alertToJSON(stuckAlert())})
	for _, fault := range doc.check("alert", doc.Components.Schemas["LiveAlert"], alert) {
		t.Error(fault)
	}
	fault := asMap(t, problem(http.StatusNotFound, "none"))
	for _, fault := range doc.check("problem", doc.Components.Schemas["Problem"], fault) {
		t.Error(fault)
	}
	missing := asMap(t, flows.Health{})
	delete(missing, "stuck")
	if len(doc.check("health", doc.Components.Schemas["Health"], missing)) == 0 {
		t.Error("the check finds no missing name")
	}
}

// check is the part of JSON Schema that the document uses.
func (d document) check(at string, schema map[string]any, v any) []string {
	if ref, ok := schema["$ref"].(string); ok {
		return d.check(at, d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")], v)
	}
	if schema == nil {
		return []string{at + ": no schema"}
	}
	if want, ok := schema["const"]; ok && want != v {
		return []string{fmt.Sprintf("%s: %v is not %v", at, v, want)}
	}
	if kinds := schema["type"]; kinds != nil && !isOfType(kinds, v) {
		return []string{fmt.Sprintf("%s: %v is no %v", at, v, kinds)}
	}
	var faults []string
	switch v := v.(type) {
	case string:
		if all, ok := schema["enum"].([]any); ok && !slices.Contains(all, any(v)) {
			faults = append(faults, fmt.Sprintf("%s: %q is not one of %v", at, v, all))
		}
		if _, err := time.Parse(time.RFC3339Nano, v); schema["format"] == "date-time" && err != nil {
			faults = append(faults, at+": "+err.Error())
		}
		if pattern, ok := schema["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
			faults = append(faults, fmt.Sprintf("%s: %q does not match %s", at, v, pattern))
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, e := range v {
			faults = append(faults, d.check(fmt.Sprintf("%s[%d]", at, i), items, e)...)
		}
	case map[string]any:
		faults = d.checkObject(at, schema, v)
	}
	return faults
}

func (d document) checkObject(at string, schema, v map[string]any) []string {
	var faults []string
	properties, named := schema["properties"].(map[string]any)
	rest, _ := schema["additionalProperties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if p, ok := properties[name].(map[string]any); ok {
			faults = append(faults, d.check(at+"."+name, p, v[name])...)
		} else if rest != nil {
			faults = append(faults, d.check(at+"."+name, rest, v[name])...)
		} else if named {
			faults = append(faults, at+"."+name+" is not documented")
		}
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			faults = append(faults, fmt.Sprintf("%s.%s is missing", at, name))
		}
	}
	return faults
}

func isOfType(kinds, v any) bool {
	if all, ok := kinds.([]any); ok {
		return slices.ContainsFunc(all, func(kind any) bool { return isOfType(kind, v) })
	}
	switch v := v.(type) {
	case nil:
		return kinds == "null"
	case string:
		return kinds == "string"
	case bool:
		return kinds == "boolean"
	case float64:
		return kinds == "number" || kinds == "integer" && v == float64(int64(v))
	case []any:
		return kinds == "array"
	}
	return kinds == "object"
}
