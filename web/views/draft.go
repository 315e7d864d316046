package views

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"throughline/flows"
)

// draft is a flow proposed from names that were seen and that no flow wants.
type draft struct {
	key   string
	steps []flows.SeenSignal // in the order in which they were seen first
}

// maxDraftSteps bounds a proposal: a person has to read it.
const maxDraftSteps = 12

// unwanted are the seen names that no flow wants.
func (v FirstRun) unwanted() []flows.SeenSignal {
	return slices.DeleteFunc(slices.Clone(v.Seen), func(s flows.SeenSignal) bool { return v.Wanted != nil && v.Wanted(s.Kind, s.Name) })
}

// draft takes the field that looks like a key and that most names carry, and makes a step of
// each of those names; false where two names share none.
func (v FirstRun) draft() (draft, bool) {
	carried := map[string]int{}
	list := v.unwanted()
	for _, s := range list {
		for _, name := range s.Attributes {
			if likelyKey(name) {
				carried[name]++
			}
		}
	}
	var d draft
	for name, n := range carried {
		if n > carried[d.key] || n == carried[d.key] && (d.key == "" || name < d.key) {
			d.key = name
		}
	}
	if carried[d.key] < 2 {
		return draft{}, false
	}
	seen := map[string]bool{}
	for _, s := range list {
		id := s.Kind.String() + " " + s.Name
		if slices.Contains(s.Attributes, d.key) && !seen[id] {
			seen[id] = true
			d.steps = append(d.steps, s)
		}
	}
	slices.SortStableFunc(d.steps, func(a, b flows.SeenSignal) int { return cmp.Compare(a.First, b.First) })
	d.steps = d.steps[:min(len(d.steps), maxDraftSteps)]
	return d, len(d.steps) >= 2
}

// likelyKey says that a field looks like one that tells cases apart.
func likelyKey(name string) bool {
	return strings.HasSuffix(name, "_id") || strings.HasSuffix(name, ".id") || strings.HasSuffix(name, "Id") || strings.HasSuffix(name, "number") || strings.HasSuffix(name, "_no")
}

// name is what the flow could be called.
func (d draft) name() string {
	return strings.ReplaceAll(stepName(strings.TrimSuffix(strings.TrimSuffix(d.key, "_id"), ".id")), "_", "-") + "-flow"
}

// stepName makes an id of a signal's name: letters, digits and underscores.
func stepName(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "_") {
			b.WriteByte('_')
		}
	}
	id := strings.Trim(b.String(), "_")
	if id == "" || id[0] >= '0' && id[0] <= '9' {
		id = "step_" + id
	}
	return id
}

// text is the flow file. A person sets the limits: nothing that was seen says them.
func (d draft) text() string {
	key := d.key
	if i := strings.LastIndexByte(key, '.'); i >= 0 && key[i:] != ".id" {
		key = key[i+1:]
	}
	var b strings.Builder
	b.WriteString("flow: " + d.name() + "\ntitle: " + quoted(called(key)) + "\nkey: " + quoted(d.key) + "\nsteps:\n")
	used := map[string]int{}
	before := ""
	for i, s := range d.steps {
		id := stepName(s.Name)
		if used[id]++; used[id] > 1 {
			id += "_" + count(used[id])
		}
		b.WriteString("  - id: " + id + "\n    match: {" + s.Kind.String() + ": " + quoted(s.Name) + "}\n")
		switch {
		case i == 0:
			b.WriteString("    start: true\n")
		default:
			b.WriteString("    after: " + before + "\n    within: 5m   # how long it may take: yours to say\n")
		}
		if i == len(d.steps)-1 {
			b.WriteString("    end: completed\n")
		}
		before = id
	}
	return b.String()
}

// quoted writes a text for YAML: what a client sent stays a text.
func quoted(text string) string {
	return "'" + strings.ReplaceAll(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text), "'", "''") + "'"
}

func (v FirstRun) draftFile(d draft) string {
	return path.Join(v.flowsDir(), d.name()+".yaml")
}
