package flows

import (
	"cmp"
	"slices"
	"strings"
)

// CompareSequences orders two sequence values: an absent one is last; whole decimal
// numbers go by number and before all others, which go bytewise. (FLOWS.md section 3
// compares a number with a text bytewise; that is no order: 2 < 10 < 1a < 2.)
func CompareSequences(a, b string) int {
	if a == b {
		return 0
	}
	classA, sizeA, textA := SequenceOrder(a)
	classB, sizeB, textB := SequenceOrder(b)
	return cmp.Or(cmp.Compare(classA, classB), cmp.Compare(sizeA, sizeB), cmp.Compare(textA, textB))
}

// SequenceOrder takes a sequence value apart such that values go by class, then by size, then
// by text: 0 for numbers, 1 for others, 2 for an absent one. A number's size is how many digits
// it has, less than none where it is negative; then the text has what each lacks to nine.
func SequenceOrder(s string) (class uint8, size int, text string) {
	if s == "" {
		return 2, 0, ""
	}
	digits, negative := strings.CutPrefix(s, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 1, 0, s
	}
	digits = strings.TrimLeft(digits, "0")
	if !negative {
		return 0, len(digits), digits
	}
	return 0, -len(digits), strings.Map(func(r rune) rune { return '0' + '9' - r }, digits)
}

// CompareOccurrences is the total order of signals (FLOWS.md section 3): time, sequence,
// position in the flow file, system, identity.
func CompareOccurrences(a, b *Occurrence) int {
	if a.At != b.At {
		return cmp.Compare(a.At, b.At)
	}
	if c := CompareSequences(a.Sequence, b.Sequence); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.System, b.System),
		cmp.Compare(a.ID, b.ID), cmp.Compare(a.Source, b.Source))
}

// SortOccurrences puts occurrences in order.
func SortOccurrences(occurrences []Occurrence) {
	inOrder := true
	for i := 1; i < len(occurrences) && inOrder; i++ {
		inOrder = CompareOccurrences(&occurrences[i-1], &occurrences[i]) <= 0
	}
	if !inOrder {
		slices.SortFunc(occurrences, func(a, b Occurrence) int { return CompareOccurrences(&a, &b) })
	}
}
