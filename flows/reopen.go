package flows

import (
	"strconv"
	"strings"
)

// Parts are the instances that the occurrences of one key make, which it brings in order:
// where the flow says `reopen: new` another begins with each start signal after the end
// of the one before; else there is one.
func (f *Flow) Parts(occurrences []Occurrence) [][]Occurrence {
	if !f.Reopen {
		return [][]Occurrence{occurrences}
	}
	SortOccurrences(occurrences)
	var parts [][]Occurrence
	ends, ended, exists, from := newEndings(f), false, false, 0
	for i := range occurrences {
		o := &occurrences[i]
		if ended && exists && !o.Failed && o.Step < len(f.Steps) && f.Steps[o.Step].Start {
			parts = append(parts, occurrences[from:i])
			ends, exists, from = newEndings(f), false, i
		}
		exists = exists || o.Step < f.resolvedPosition()
		ended = ends.after(o)
	}
	return append(parts, occurrences[from:])
}

// PartKey is the key of the instance at a position of Parts: key, then key#2 and so on.
func PartKey(key string, part int) string {
	if part == 0 {
		return key
	}
	return key + "#" + strconv.Itoa(part+1)
}

// PartOf takes apart what PartKey made. A key that itself ends in such a number looks the
// same: whoever asks must see whether that part is there.
func PartOf(key string) (whole string, part int) {
	i := strings.LastIndexByte(key, '#')
	if i < 0 {
		return key, 0
	}
	n, err := strconv.Atoi(key[i+1:])
	if err != nil || n < 2 || key[i+1] == '0' || key[i+1] == '+' {
		return key, 0
	}
	return key[:i], n - 1
}
