package views

import (
	"slices"

	"github.com/a-h/templ"

	"throughline/flows"
)

// VariantList is the page /flows/{flow}/variants: the paths that instances took, most frequent first.
type VariantList struct {
	Clock
	Now      FlowNow
	Variants *flows.Variants // nil where history cannot be read
}

// Body is the page without its frame.
func (v VariantList) Body() templ.Component { return variantListBody(v) }

// Parts are the live elements.
func (v VariantList) Parts() []Part {
	return []Part{{"variants-head", VariantsHead(v)}, {"variants-say", VariantsSay(v)}, {"variants", VariantsTable(v)}}
}

func variantsURL(flow string) string { return flowURL(flow) + "/variants" }

// stop is one step of a path, with how often it came in a row.
type stop struct {
	id, title string
	times     int
}

// stops are the steps of a path; those in a row are one.
func (v VariantList) stops(path []string) []stop {
	var list []stop
	for _, id := range path {
		if n := len(list); n > 0 && list[n-1].id == id {
			list[n-1].times++
			continue
		}
		one := stop{id: id, times: 1}
		if i := stepIndex(v.Now.Flow, id); i >= 0 {
			one.title = v.Now.Flow.Steps[i].Title
		}
		list = append(list, one)
	}
	return list
}

// sums are how many instances the listed paths hold, and how many of those are in paths that conform.
func (v VariantList) sums() (listed, conforming int) {
	for _, one := range v.Variants.Variants {
		listed += one.Count
		if one.Conforming {
			conforming += one.Count
		}
	}
	return listed, conforming
}

// few is how many of the listed paths, from the most frequent on, hold four in five of their instances.
func (v VariantList) few() int {
	all, _ := v.sums()
	sum := 0
	for i, one := range v.Variants.Variants {
		if sum += one.Count; 5*sum >= 4*all {
			return i + 1
		}
	}
	return 0
}

// usual says whether the path is the most frequent one that conforms.
func (v VariantList) usual(i int) bool {
	return i == slices.IndexFunc(v.Variants.Variants, func(one flows.Variant) bool { return one.Conforming })
}

// otherwise says what became of a path that does not conform, or not in all its instances.
func (v VariantList) otherwise(path []string) string {
	for _, id := range path {
		i := stepIndex(v.Now.Flow, id)
		if i < 0 {
			continue
		}
		switch v.Now.Flow.Steps[i].End {
		case flows.Completed:
			return "completed, not as the model says"
		case flows.Failed:
			return "ended as failed"
		case flows.Cancelled:
			return "ended as cancelled"
		}
	}
	return "at no end: in flight, or given up"
}
