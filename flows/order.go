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
	rankA, rankB := sequenceRank(a), sequenceRank(b)
	if rankA != rankB {
		return cmp.Compare(rankA, rankB)
	}
	if rankA == rankNumber {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	}
	return cmp.Compare(a, b)
}

const (
	rankNumber = iota
	rankText
	rankAbsent
)

func sequenceRank(s string) int {
	if s == "" {
		return rankAbsent
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return rankText
		}
	}
	return rankNumber
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
