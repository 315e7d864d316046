package flows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a file that a person wrote: where it is, what it
// is and what to write instead.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // from 1
	Col     int    `json:"col"`  // from 1, in characters
	Message string `json:"message"`
	Picture string `json:"picture,omitempty"` // lines that show it, without a line break at the end; "" for most
}

func (f Fault) String() string { return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Col, f.Message) }

// CompareFaults orders faults by file and position.
func CompareFaults(a, b Fault) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
}

// didYouMean is "; did you mean `x`?" for the known word nearest to what was written, ""
// where none is near.
func didYouMean(written string, known []string) string {
	near := Nearest(written, known)
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean `%s`?", near)
}

// Nearest is the known word that somebody who wrote another one may have meant; "" where
// none is near.
func Nearest(written string, known []string) (near string) {
	best := 1 + min(2, (len(written)+1)/3)
	for _, word := range known {
		if d := distance(strings.ToLower(written), strings.ToLower(word), best); d < best {
			best, near = d, word
		}
	}
	return near
}

// distance is the number of letters to change, add, drop or swap with a neighbour to get
// from a to b; limit where it is not less than that.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j]+change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		if slices.Min(row) >= limit {
			return limit
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}

// quoted is a list of words for a message: `a`, `b`.
func quoted(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return "`" + strings.Join(words, "`, `") + "`"
}

// shortened keeps a message readable whatever was written.
func shortened(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
