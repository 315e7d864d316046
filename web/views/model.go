package views

import (
	"net/url"
	"slices"

	"github.com/a-h/templ"

	"throughline/flows"
)

// FlowModel is the page /flows/{flow}/model.
type FlowModel struct {
	Clock
	Name     string           // of the flow, or of a file that never ran
	Flow     *flows.Flow      // the version that runs; nil where none does
	File     string           // path of the file as the config folder names it
	Text     string           // of the version that runs, or the file where none does
	Draft    string           // the file as it stands, where it is refused; else ""
	Faults   []flows.Fault    // of this file, where the text on disk was refused
	Versions []flows.FlowText // that ran, the last loaded first; nil where history cannot be read
	From, To string           // versions that are compared; "" for none
	Shown    string           // an older version that is shown; "" for the one that runs
	Trial    *FlowTrial       // a text that was checked; nil for none yet
}

// FlowTrial is what a check of a text found.
type FlowTrial struct {
	Name   string // of the flow whose page it is on
	Text   string
	Faults []flows.Fault
	Base   string // text that runs
}

// Body is the page without its frame.
func (v FlowModel) Body() templ.Component { return modelBody(v) }

// TrialPart is what the page shows of a check.
func TrialPart(t FlowTrial) templ.Component { return trialResult(&t) }

func (v FlowModel) url() string { return modelURL(v.Name) }

// text is what the file panel shows, and the faults that are marked in it.
func (v FlowModel) text() (string, []flows.Fault) {
	if version, ok := v.version(v.Shown); ok && v.Shown != "" {
		return version.Text, nil
	}
	if v.Draft != "" {
		return v.Draft, v.Faults
	}
	return v.Text, nil
}

func (v FlowModel) version(name string) (flows.FlowText, bool) {
	i := slices.IndexFunc(v.Versions, func(t flows.FlowText) bool { return t.Version == name })
	if i < 0 {
		return flows.FlowText{}, false
	}
	return v.Versions[i], true
}

func (v FlowModel) running() string {
	if v.Flow == nil {
		return ""
	}
	return v.Flow.Version
}

// compared are the two texts that the diff is of, with their names; false for none.
func (v FlowModel) compared() (from, to string, lines []diffLine, ok bool) {
	if v.From != "" && v.To != "" {
		a, okA := v.version(v.From)
		b, okB := v.version(v.To)
		return v.From, v.To, diff(a.Text, b.Text), okA && okB
	}
	if v.Draft != "" && v.Flow != nil {
		return "what runs", "the file on disk", diff(v.Text, v.Draft), true
	}
	return "", "", nil, false
}

func (v FlowModel) showURL(version string) templ.SafeURL {
	return templ.SafeURL(v.url() + "?version=" + url.QueryEscape(version))
}

func (v FlowModel) diffURL(from, to string) templ.SafeURL {
	return templ.SafeURL(v.url() + "?from=" + url.QueryEscape(from) + "&to=" + url.QueryEscape(to) + "#diff")
}

// before is the version that was loaded before the i-th.
func (v FlowModel) before(i int) string {
	if i+1 < len(v.Versions) {
		return v.Versions[i+1].Version
	}
	return ""
}

func faultsAt(list []flows.Fault, line int) (at []flows.Fault) {
	for _, f := range list {
		if f.Line == line {
			at = append(at, f)
		}
	}
	return at
}

// start is what the text to try out begins with.
func (v FlowModel) start() string {
	if v.Trial != nil {
		return v.Trial.Text
	}
	text, _ := v.text()
	return text
}

func lineNumber(n int) string {
	if n == 0 {
		return ""
	}
	return count(n)
}

func diffClass(mark byte) string {
	switch mark {
	case '+':
		return "add"
	case '-':
		return "del"
	case '~':
		return "left"
	}
	return ""
}

// diffWords count the changed lines.
func diffWords(lines []diffLine) string {
	added, removed := changes(lines)
	if added == 0 && removed == 0 {
		return "No line differs"
	}
	return plural(added, "line", "lines") + " added, " + plural(removed, "line", "lines") + " removed"
}
