package views

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"throughline/flows"
)

// now is the instant that the instance is judged at: imported ones stand still at their
// import's time.
func (v InstanceTimeline) now() flows.Time {
	if v.Detail.Imported && known(v.Detail.AsOf) {
		return v.Detail.AsOf
	}
	return v.Clock.Now
}

// ticks says that waits go on while the page is open.
func (v InstanceTimeline) ticks() bool { return !v.Detail.Imported && !v.AtPast }

func (v InstanceTimeline) flowTitle() string {
	if v.Flow != nil {
		return v.Flow.Title
	}
	return v.Detail.Flow
}

func (v InstanceTimeline) keyType() string {
	if v.Flow != nil {
		return v.Flow.Key
	}
	return ""
}

// keys are the instance's own key and all keys on its signals, each once.
func (v InstanceTimeline) keys() []flows.Key {
	var keys []flows.Key
	for _, s := range v.Detail.Signals {
		keys = append(keys, s.Keys...)
	}
	slices.SortFunc(keys, flows.CompareKeys)
	keys = slices.Compact(keys)
	own := flows.Key{Type: v.keyType(), Value: v.Detail.Key}
	keys = slices.DeleteFunc(keys, func(k flows.Key) bool { return k == own })
	if own.Type != "" {
		keys = slices.Insert(keys, 0, own)
	}
	return keys[:min(len(keys), mostChips)]
}

// mostChips bounds the keys above a timeline; the signals name all of them.
const mostChips = 24

func (v InstanceTimeline) segments() []flows.Key {
	var list []flows.Key
	for _, name := range slices.Sorted(maps.Keys(v.Detail.Segments)) {
		list = append(list, flows.Key{Type: name, Value: v.Detail.Segments[name]})
	}
	return list
}

func (v InstanceTimeline) tone() string {
	switch v.Detail.State {
	case flows.Stuck:
		return "stuck"
	case flows.Expired:
		return "late"
	case flows.Unknown:
		return "deaf"
	}
	return ""
}

// phrase is a part of a sentence.
type phrase struct {
	text   string
	strong bool
}

// sentence alternates plain and strong text, plain first.
func sentence(texts ...string) []phrase {
	var list []phrase
	for i, text := range texts {
		if text != "" {
			list = append(list, phrase{text, i%2 == 1})
		}
	}
	return list
}

func (v InstanceTimeline) title(step string) string {
	for _, s := range v.Detail.Steps {
		if s.Step == step {
			return titleOf(s)
		}
	}
	return step
}

func titleOf(s flows.StepRecord) string {
	if s.Title != "" {
		return s.Title
	}
	return s.Step
}

// verdict is how the instance stands, in words.
func (v InstanceTimeline) verdict() []phrase {
	d := v.Detail
	var said []phrase
	switch {
	case d.State == flows.Stuck && d.Reason == flows.ReasonIdle:
		said = sentence("No signal since ", v.at(d.LastAt), ", for longer than the flow allows. Any signal of this "+strings.ToLower(called(v.keyType()))+" clears it.")
	case d.State == flows.Stuck:
		said = v.stuckWords()
	case d.State == flows.Unknown:
		said = v.unknownWords()
	case d.State == flows.Held:
		said = v.heldWords()
	case d.State.InFlight():
		said = v.openWords()
	case d.State == flows.Expired:
		said = sentence("Expired: no signal since ", v.at(d.LastAt), ". It counts as lost.")
	default:
		said = v.endedWords()
	}
	if d.Recovered {
		said = append(said, sentence(" It was stuck for ", waited(d.StuckFor), " before a late signal cleared it.")...)
	}
	return said
}

func (v InstanceTimeline) stuckWords() []phrase {
	d := v.Detail
	in := ""
	if d.System != "" {
		in = " in "
	}
	limit := "; its limit passed at "
	said := sentence("Waits for ", v.title(d.ReasonStep), in, d.System, " since ", v.at(waitingSince(d.InstanceRecord)), limit, v.at(d.StuckSince), ".")
	for _, s := range d.Steps {
		if s.Step == d.ReasonStep && s.Errors > 0 {
			said = append(said, sentence(" ", plural(s.Errors, "try", "tries")+" failed")...)
			if f, ok := v.lastFailure(); ok && v.said(f.signal) != "" {
				said = append(said, sentence(", the last one with ", f.said)...)
			}
			said = append(said, phrase{text: "."})
		}
	}
	return append(said, sentence(" It clears when the step occurs, even late.")...)
}

func (v InstanceTimeline) openWords() []phrase {
	d := v.Detail
	if len(d.WaitingOn) == 0 {
		return sentence("On its way. Last signal at ", v.at(d.LastAt), "; no step is due.")
	}
	var said []phrase
	for i, w := range d.WaitingOn {
		lead := "On its way: waits for "
		if i > 0 {
			lead = ", and for "
		}
		system := ""
		if w.System != "" {
			system = " in " + w.System
		}
		limit := ""
		if w.Deadline != flows.NoTime {
			limit = ", at the latest until "
		}
		said = append(said, sentence(lead, v.title(w.Step), system+limit, v.at(w.Deadline))...)
	}
	return append(said, phrase{text: "."})
}

func (v InstanceTimeline) endedWords() []phrase {
	d := v.Detail
	word := stateLook(d.State).word
	said := sentence("", word, " at ", v.at(d.EndedAt))
	if d.EndStep != "" {
		said = append(said, sentence(" with ", v.title(d.EndStep))...)
	}
	if known(d.StartedAt) {
		said = append(said, sentence(", ", exact(d.EndedAt.Sub(d.StartedAt)), " after it began.")...)
	}
	switch {
	case d.Conforming:
		said = append(said, sentence(" It conforms to the flow.")...)
	case len(d.Deviations) > 0:
		said = append(said, sentence(" It deviates from the flow: ", deviationWords(d.Deviations), ".")...)
	}
	return said
}

var deviationMeanings = map[flows.Deviation]string{
	flows.DeviationSkipped:  "a required step was skipped",
	flows.DeviationOrder:    "a step came before its predecessor",
	flows.DeviationRepeat:   "a step occurred again",
	flows.DeviationAfterEnd: "a signal came after the end",
	flows.DeviationNoStart:  "it has no start",
}

func deviationWords(list []flows.Deviation) string {
	var words []string
	for _, d := range list {
		word := deviationMeanings[d]
		if word == "" {
			word = string(d)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// stepState is how one step of the instance stands.
func (v InstanceTimeline) stepState(s flows.StepRecord) look {
	if known(s.At) {
		return lookOK.with("Occurred")
	}
	if s.Skipped {
		return lookLate.with("Skipped")
	}
	for _, w := range v.Detail.WaitingOn {
		if w.Step != s.Step {
			continue
		}
		switch overdue := w.Deadline != flows.NoTime && v.now() > w.Deadline; {
		case overdue && v.Detail.State == flows.Unknown:
			return lookUnknown
		case overdue && v.Detail.State == flows.Held:
			return lookLate.with("Overdue, held")
		case overdue:
			return lookStuck.with("Overdue")
		case v.Detail.State == flows.Held:
			return lookQuiet.with("Held")
		}
		return lookQuiet.with("Waiting")
	}
	if v.Flow != nil {
		if i := stepIndex(v.Flow, s.Step); i >= 0 && v.notNeeded(i) {
			return lookQuiet.with("Not needed")
		}
	}
	return lookQuiet.with("Not reached")
}

// tookOf is the time from due to occurrence.
func tookOf(s flows.StepRecord) string {
	if !known(s.At) || !known(s.DueAt) {
		return ""
	}
	return exact(s.Latency)
}

func (v InstanceTimeline) signalsNote() string {
	traces := map[string]struct{}{}
	events := 0
	for _, s := range v.Detail.Signals {
		if s.Kind == flows.Event {
			events++
		} else if s.TraceID != "" {
			traces[s.TraceID] = struct{}{}
		}
	}
	n := len(v.Detail.Signals)
	var parts []string
	if spans := n - events; spans > 0 {
		parts = append(parts, plural(spans, "span", "spans"))
		if len(traces) > 0 {
			parts[0] += " in " + plural(len(traces), "trace", "traces")
		}
	}
	if events > 0 {
		parts = append(parts, plural(events, "event", "events"))
	}
	return strings.Join(parts, ", ")
}

// Bounds of what one signal shows of its content.
const (
	mostFields  = 60
	mostLetters = 400
)

// fields are a signal's attributes and data as text, by name.
func fields(s flows.Signal) []flows.Key {
	list := make([]flows.Key, 0, len(s.Attributes)+len(s.Data))
	for _, m := range []map[string]any{s.Data, s.Attributes} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			list = append(list, flows.Key{Type: name, Value: cut(fieldText(m[name]), mostLetters)})
		}
	}
	return list[:min(len(list), mostFields)]
}

func fieldText(v any) string {
	if text, ok := flows.Text(v); ok {
		return text
	}
	if text, ok := v.(string); ok {
		return text // the empty one
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "" // cannot be: the value was decoded from JSON
	}
	return string(text)
}

// piece is a part of the time that an instance took.
type piece struct {
	word, class string
	took        time.Duration
	x, w        float64
}

// mostPieces is how many pieces are named; the rest is one.
const mostPieces = 6

// split is the time from the first to the last instant, by what was waited for.
func (v InstanceTimeline) split() (time.Duration, []piece) {
	d := v.Detail
	end := d.EndedAt
	if d.State.InFlight() {
		end = v.now()
	}
	if !known(d.StartedAt) || !known(end) || end <= d.StartedAt {
		return 0, nil
	}
	pieces, last := v.stepPieces(end)
	if d.State.InFlight() && end > last {
		p := piece{word: "waiting for any signal", class: "wait", took: end.Sub(last)}
		if step := d.ReasonStep; step != "" {
			p.word = "waiting for " + v.title(step)
		} else if len(d.WaitingOn) > 0 {
			p.word = "waiting for " + v.title(d.WaitingOn[0].Step)
		}
		switch d.State {
		case flows.Stuck:
			p.class, p.word = "stuck", "stuck, "+p.word
		case flows.Held:
			p.word += ", now held"
		}
		pieces = append(pieces, p)
	}
	total := end.Sub(d.StartedAt)
	pieces = largest(pieces, total/100)
	x := 0.0
	for i := range pieces {
		pieces[i].w = float64(pieces[i].took) / float64(total)
		pieces[i].x = x
		x += pieces[i].w
	}
	return total, pieces
}

// stepPieces are the times up to each step's occurrence, and the last one's instant.
func (v InstanceTimeline) stepPieces(end flows.Time) ([]piece, flows.Time) {
	d := v.Detail
	steps := slices.DeleteFunc(slices.Clone(d.Steps), func(s flows.StepRecord) bool { return !known(s.At) || s.At > end })
	slices.SortStableFunc(steps, func(a, b flows.StepRecord) int { return cmp.Compare(a.At, b.At) })
	var pieces []piece
	last := d.StartedAt
	for i, s := range steps {
		if s.At > last {
			pieces = append(pieces, piece{word: "to " + titleOf(s), class: []string{"a", "b"}[i%2], took: s.At.Sub(last)})
			last = s.At
		}
	}
	return pieces, last
}

// largest keeps the longest pieces, from least on, in their order; the others become one at
// the end.
func largest(pieces []piece, least time.Duration) []piece {
	if len(pieces) > mostPieces {
		by := slices.Clone(pieces)
		slices.SortStableFunc(by, func(a, b piece) int { return cmp.Compare(b.took, a.took) })
		least = max(least, by[mostPieces-2].took)
	}
	var kept []piece
	rest := piece{word: "all else", class: "c"}
	for _, p := range pieces {
		if p.took >= least && len(kept) < mostPieces-1 || p.class == "stuck" {
			kept = append(kept, p)
		} else {
			rest.took += p.took
		}
	}
	if rest.took > 0 {
		kept = append(kept, rest)
	}
	return kept
}

func splitWords(pieces []piece) string {
	var words []string
	for _, p := range pieces {
		words = append(words, p.word+" "+percent(p.w))
	}
	return strings.Join(words, ", ")
}
