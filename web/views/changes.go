package views

import "throughline/flows"

// Change is something that happened.
type Change struct {
	At      flows.Time
	Kind    ChangeKind
	Alert   Alert         // of those that are of one
	Release flows.Release // of ChangeReleased
	System  string        // of ChangeSilent
}

// ChangeKind is what happened.
type ChangeKind int

// What can happen.
const (
	ChangeOpened   ChangeKind = iota // an alert
	ChangeAcked                      // an alert
	ChangeResolved                   // an alert
	ChangeReleased                   // a service came to send as another version
	ChangeSilent                     // a system was heard last
)

// releaseMarks are the releases on a chart.
func releaseMarks(list []flows.Release) []chartMark {
	var marks []chartMark
	for _, r := range list {
		marks = append(marks, chartMark{at: r.At, text: r.Service + " " + r.Version, href: systemURL(r.Service)})
	}
	return marks
}

func (ch Change) icon() string {
	switch ch.Kind {
	case ChangeAcked, ChangeResolved:
		return "ok"
	case ChangeReleased:
		return "release"
	case ChangeSilent:
		return "mute"
	}
	return "alerts"
}

// what it happened to, and where that leads.
func (ch Change) what() (name, href string) {
	switch ch.Kind {
	case ChangeReleased:
		return ch.Release.Service, systemURL(ch.Release.Service)
	case ChangeSilent:
		return ch.System, systemURL(ch.System)
	}
	return ch.Alert.where(), alertURL(ch.Alert.ID)
}

func (ch Change) words() string {
	switch ch.Kind {
	case ChangeAcked:
		return "acknowledged by " + ch.Alert.Ack.By
	case ChangeResolved:
		return "resolved"
	case ChangeReleased:
		words := "sends as " + ch.Release.Version + ", before as " + ch.Release.Before
		if ch.Release.Environment != "" {
			words += ", in " + ch.Release.Environment
		}
		return words
	case ChangeSilent:
		return "was heard last; silent since"
	}
	return "stuck in " + ch.Alert.flowTitle()
}

// apart is how long before or after an instant the first member of the alert began to wait.
func (v AlertDetail) apart(at flows.Time) string {
	if d := v.dueSince().Sub(at); d >= 0 {
		return waited(d) + " after"
	} else {
		return waited(-d) + " before"
	}
}

// likely says whether a change stands out: it is the release that the sentence names.
func (v AlertDetail) likely(ch Change) bool {
	r, ok := v.release()
	return ok && ch.Kind == ChangeReleased && ch.Release == r
}

// distance is how far a change was from the first wait.
func (v AlertDetail) distance(ch Change) string {
	if d := v.dueSince().Sub(ch.At); d >= 0 {
		return waited(d) + " before the first wait"
	} else {
		return waited(-d) + " after the first wait"
	}
}
