package views

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func written(lines []diffLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteByte(l.mark)
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	f := func(before, after, want string) {
		t.Helper()
		if got := written(diff(before, after)); got != want {
			t.Errorf("%q to %q:\n%s", before, after, got)
		}
	}
	f("", "", "")
	f("a\n", "a", "") // a last line break is no change
	f("", "a\n", "+a\n")
	f("a\nb\nc\n", "a\nx\nc\n", " a\n-b\n+x\n c\n")
	f("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n8\n9\nx\n", "~\n 7\n 8\n 9\n+x\n")
}

// What is not taken away is the second text, what is not added is the first; and the work is
// bounded.
func TestDiffTellsBothTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) (list []string) {
		for range r.IntN(n) {
			list = append(list, string(rune('a'+r.IntN(4))))
		}
		return list
	}
	for range 300 {
		a, b := random(12), random(12)
		var old, next []string
		for _, l := range middle(a, b, 0) {
			if l.mark != '+' {
				old = append(old, l.text)
			}
			if l.mark != '-' {
				next = append(next, l.text)
			}
			if l.mark == ' ' && (a[l.old-1] != l.text || b[l.new-1] != l.text) {
				t.Fatalf("line %+v is not in %q and %q", l, a, b)
			}
		}
		if strings.Join(old, "") != strings.Join(a, "") || strings.Join(next, "") != strings.Join(b, "") {
			t.Fatalf("%q to %q gives %q and %q", a, b, old, next)
		}
	}
	large := strings.Repeat("x\n", 1) + strings.Repeat("a\n", 5000) + "y\n"
	other := strings.Repeat("z\n", 1) + strings.Repeat("b\n", 5000) + "w\n"
	if added, removed := changes(diff(large, other)); added != 5002 || removed != 5002 {
		t.Errorf("%d lines added, %d removed", added, removed)
	}
}
