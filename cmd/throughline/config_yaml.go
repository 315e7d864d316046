package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// fromYAML gives the values of a file to their settings and returns every fault as
// file:line:col: what.
func fromYAML(file string, data []byte, settings []setting) []error {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return []error{fmt.Errorf("%s: %w", file, err)}
	}
	if len(doc.Content) == 0 {
		return nil
	}
	r := configReader{file: file, settings: settings}
	r.mapping("", doc.Content[0])
	return r.faults
}

type configReader struct {
	file     string
	settings []setting
	faults   []error
}

func (r *configReader) fault(n *yaml.Node, format string, args ...any) {
	place := fmt.Sprintf("%s:%d:%d: ", r.file, n.Line, n.Column)
	r.faults = append(r.faults, fmt.Errorf(place+format, args...))
}

// mapping reads the keys below prefix ("" or "clickhouse.").
func (r *configReader) mapping(prefix string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		if n.Tag == "!!null" {
			return
		}
		r.fault(n, "%s holds keys: %s", cmp.Or(strings.TrimSuffix(prefix, "."), "the file"), strings.Join(r.allowed(prefix), ", "))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := prefix + name.Value
		switch {
		case seen[key]:
			r.fault(name, "%s stands here twice", key)
		case slices.ContainsFunc(r.settings, func(s setting) bool { return strings.HasPrefix(s.key, key+".") }):
			r.mapping(key+".", value)
		default:
			r.value(key, name, value)
		}
		seen[key] = true
	}
}

func (r *configReader) value(key string, name, n *yaml.Node) {
	i := slices.IndexFunc(r.settings, func(s setting) bool { return s.key == key })
	if i < 0 {
		prefix := key[:len(key)-len(name.Value)]
		r.fault(name, "%s is not a key of this file; allowed here: %s", key, strings.Join(r.allowed(prefix), ", "))
		return
	}
	s := r.settings[i]
	var values []string
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		values = []string{n.Value}
	case n.Kind == yaml.SequenceNode && s.list:
		for _, e := range n.Content {
			if e.Kind != yaml.ScalarNode {
				r.fault(e, "%s is a list of plain values", key)
				return
			}
			values = append(values, e.Value)
		}
	case s.list:
		r.fault(n, "%s is a list", key)
		return
	default:
		r.fault(n, "%s is one plain value", key)
		return
	}
	if err := s.set(values); err != nil {
		r.fault(n, "%s: %w", key, err)
	}
}

// allowed are the names directly below prefix, in documented order.
func (r *configReader) allowed(prefix string) []string {
	var names []string
	for _, s := range r.settings {
		rest, ok := strings.CutPrefix(s.key, prefix)
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
