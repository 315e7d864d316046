package alert

import (
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

// Forget puts a word in place of a key's value where incidents of some flows name instances
// by it, those that are over too. What receivers were told is theirs, and what people wrote
// stays.
func (r *Router) Forget(ofFlows []string, value, token string) {
	r.mu.Lock()
	if r.book.forget(ofFlows, value, token) {
		r.saver.mark(incidentsFile)
	}
	r.mu.Unlock()
	r.signal()
}

func (b *book) forget(ofFlows []string, value, token string) (changed bool) {
	forget := func(in *incident) {
		if !slices.Contains(ofFlows, in.cohort.Flow) {
			return
		}
		keys := slices.Clone(in.cohort.Keys)
		for i, key := range keys {
			rest, named := strings.CutPrefix(key, value)
			if named && (rest == "" || rest[0] == '#' || strings.HasPrefix(rest, " (")) { // a part, an environment
				keys[i] = token + rest
			}
		}
		if slices.Equal(keys, in.cohort.Keys) {
			return
		}
		in.cohort.Keys, in.annotations = keys, in.annotations.Clone()
		in.annotations["keys"] = model.LabelValue(strings.ToValidUTF8(strings.Join(keys, ", "), "\uFFFD"))
		in.moved, changed = true, true
	}
	for _, in := range b.active {
		forget(in)
	}
	for _, in := range b.resolved {
		forget(in)
	}
	return changed
}
