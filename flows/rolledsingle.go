package flows

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Percentiles are exact below a thousand values (FLOWS.md section 8), which bins cannot give. So
// beside the bins of a minute its durations are told one by one, where they are few: a window in
// which something is rare has few of them in each of its minutes. Where they are many the bins
// are told alone, and that they are.

// single is one duration of a bin.
type single struct {
	took  time.Duration
	count int32 // how often it was added
	next  int32 // the one before it of its bin, as singles.last
}

// singles are those of a bin.
type singles struct {
	last int32 // 1 + its place in RollUps.single; 0 for none, -1 where they were too many
	n    int32
}

// singleLimits bound what is told one by one.
type singleLimits struct {
	bin    int32 // of a bin
	minute int   // of all of a measure in a minute
	all    int   // of all that is taken at once
}

var (
	toldSingles = singleLimits{bin: 64, minute: 256, all: 1 << 17}
	allSingles  = singleLimits{bin: math.MaxInt32, minute: math.MaxInt, all: 1 << 22}
)

// Exactly has the durations of all that follows told, up to four million, and returns r.
func (r *RollUps) Exactly() *RollUps {
	r.limits = allSingles
	return r
}

// noteSingle notes one duration that is added, or taken back.
func (r *RollUps) noteSingle(s *singles, took time.Duration, sign int) {
	if s.last < 0 {
		return
	}
	if s.last > 0 {
		if last := &r.single[s.last-1]; last.took == took {
			if last.count += int32(sign); last.count == 0 && s.n == 1 {
				*s = singles{} // as it was
			}
			return
		}
	}
	if s.n == r.limits.bin || len(r.single) == r.limits.all {
		s.last = -1
		return
	}
	r.single = append(r.single, single{took, int32(sign), s.last})
	s.last, s.n = int32(len(r.single)), s.n+1
}

// rolledSingle is one duration of a minute, added or taken back so many times.
type rolledSingle struct {
	key  rolledKey // without a bin
	took time.Duration
	n    int64
}

// listSingles adds the durations of all minutes to a list, but where they are too many.
func (r *RollUps) listSingles(list []RollUp) []RollUp {
	all, unsaid := make([]rolledSingle, 0, len(r.single)), map[rolledKey]bool{}
	for key, sum := range r.sums {
		if !key.measure.Distribution() {
			continue
		}
		key.bin = 0
		if sum.last < 0 {
			unsaid[key] = true
		}
		for at := sum.last; at > 0; at = r.single[at-1].next {
			all = append(all, rolledSingle{key, r.single[at-1].took, int64(r.single[at-1].count)})
		}
	}
	slices.SortFunc(all, func(a, b rolledSingle) int {
		return cmp.Or(
			cmp.Compare(a.key.minute, b.key.minute), cmp.Compare(a.key.measure, b.key.measure), cmp.Compare(a.key.step, b.key.step),
			cmp.Compare(a.key.to, b.key.to), cmp.Compare(a.took, b.took),
		)
	})
	sums := all[:0] // of equal ones
	for _, one := range all {
		if n := len(sums); n > 0 && sums[n-1].key == one.key && sums[n-1].took == one.took {
			sums[n-1].n += one.n
		} else {
			sums = append(sums, one)
		}
	}
	sums = slices.DeleteFunc(sums, func(s rolledSingle) bool { return s.n == 0 })
	for len(sums) > 0 {
		key, n := sums[0].key, 1
		for n < len(sums) && sums[n].key == key {
			n++
		}
		switch {
		case n > r.limits.minute:
			unsaid[key] = true
		case !unsaid[key]:
			for _, s := range sums[:n] {
				list = append(list, r.told(key, s.took, s.n))
			}
		}
		sums = sums[n:]
	}
	begin := len(list)
	for key := range unsaid {
		list = append(list, r.told(key, Unsaid, 1))
	}
	slices.SortFunc(list[begin:], compareRollUps)
	return list
}

func (r *RollUps) told(key rolledKey, took time.Duration, n int64) RollUp {
	return RollUp{
		Span: RollUpValue, Start: Time(key.minute) * Time(RollUpMinute), Measure: key.measure, Step: r.id(key.step), To: r.id(key.to), Count: n, Took: took,
	}
}
