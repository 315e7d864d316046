package views

import (
	"cmp"
	"net/url"
	"strings"
)

// meaning is what a number is, in the words of the flow language: what it says, what is
// counted, what that is divided by or measured from, and what is left out.
type meaning struct{ says, counted, of, without string }

// The meanings of the tiles. Window is the time range at the top of the page.
var meanings = map[string]meaning{
	"started": {
		"How many instances began in the window, and per minute.",
		"Instances whose earliest step lies in the window; a span counts from its start.",
		"The minutes of the window.",
		"Instances that a hold began and no step yet; copies of a signal, which change nothing.",
	},
	"in-flight": {
		"How many instances have begun and not ended, now.",
		"Instances that are open, held, stuck or unknown at this moment.",
		"",
		"Completed, failed, cancelled, resolved and expired ones. The value adds up those that carry one, per currency.",
	},
	"stuck": {
		"How many instances wait for longer than they may, while we can hear the system that they wait for.",
		"Open instances with a step past its deadline, or without a signal for longer than the flow's idle time.",
		"",
		"Held ones, whose deadlines pause; unknown ones, which wait only behind systems that we cannot hear, or on sampled spans; optional steps and steps without a limit.",
	},
	"completed": {
		"How many instances reached an end that completes the flow.",
		"Instances whose earliest end step is a completing one and lies in the window.",
		"",
		"Failed, cancelled, resolved and expired ones: they are named below the number where there are any.",
	},
	"latency": {
		"How long completed instances took from their first step to their end; half of them were faster.",
		"Instances that completed in the window: end step minus the earliest time of any step, holds included. The percentile is the nearest rank: exact below 1,000 values, else within 1 %.",
		"",
		"Instances that are still open. While a flow freezes the completed alone look too fast: where the estimate that counts the open ones in says otherwise, it stands below.",
	},
	"conforming": {
		"The share of completed instances that went as the model says.",
		"Instances that completed in the window without a deviation: none skipped, out of order, repeated undeclared, surplus, after the end, or without the start.",
		"All instances that completed in the window.",
		"Instances that have not completed; nothing completed gives no rate.",
	},
	"errors": {
		"How often a step was tried and failed.",
		"Spans with the outcome error that match a step, by their time, in the window.",
		"",
		"Steps whose filter speaks of the outcome itself. A failed try does not make its step occur.",
	},
	"needing": {
		"How many flows a person should look at.",
		"Flows in which something is stuck or unknown, or a step took longer than its limit.",
		"All flows that are loaded.",
		"Flows that are quiet because nothing flows and nothing should; flows whose file was refused and never ran.",
	},
	"reached": {
		"In how many instances the step occurred.",
		"Instances with the step's first signal in the window; a step for each of several children counts once all that are expected came.",
		"",
		"Failed tries and copies of a signal.",
	},
	"waiting": {
		"How many instances wait for the step now.",
		"Instances in flight in which all that has to come before it did, and the step itself did not.",
		"",
		"Instances in which the step was skipped, or a sibling of the same choice occurred.",
	},
	"overdue": {
		"How many instances are stuck and wait for the step past its limit.",
		"Stuck instances that wait for the step and whose deadline has passed: the limit in (working) time outside holds, from when the step was due.",
		"",
		"Steps without a limit, and optional ones: they are never overdue. Instances that are held or unknown.",
	},
	"step-latency": {
		"How long the step took after it was due.",
		"Instances in which the step occurred in the window: its time minus that of the last step before it, never negative, holds included; nearest rank.",
		"",
		"Instances that still wait for it. A step before its predecessor counts 0 and is the deviation order.",
	},
	"limit": {
		"How long the step may take.",
		"What within says in the flow file, from when the step is due.",
		"",
		"Time in holds, and time outside the calendar where there is one.",
	},
	"skipped": {
		"How often the step never came although a later one did.",
		"Instances in which it is required, did not occur, and a step downstream did, or the flow completed.",
		"",
		"Optional steps, other members of a choice, and ends of another outcome.",
	},
	"cohort": {
		"How many instances make up this alert now.",
		"Instances that are stuck at this step of this flow, for this reason.",
		"",
		"Instances that are stuck elsewhere in the flow, held or unknown. Members come and go; the alert stays the same.",
	},
	"at-risk": {
		"What the instances of this alert are worth.",
		"The amounts of its members, exact, per currency.",
		"",
		"Members whose signals carried no amount: they count as nothing here, not as an average.",
	},
	"since": {
		"When the first of its members passed the limit.",
		"The earliest instant at which a member had become stuck when the alert began, by the time of signals, not of their arrival.",
		"",
		"",
	},
	"systems-live": {
		"How many systems speak as they did before.",
		"Systems whose silence is no longer than their longest gap of the last 60 minutes; a gap counts from ten seconds on.",
		"Systems that a step names, and those that were heard in the last 60 minutes.",
		"Imported history, which is no arrival.",
	},
	"systems-silent": {
		"How many systems are silent for longer than they were before in this hour.",
		"Systems that were heard, and whose silence is longer than their longest gap of the last 60 minutes, or that sent nothing in it.",
		"",
		"Systems that were never heard. No rhythm of the week is learned yet, so that a silence is a fact here and no verdict: nothing is held back because of it.",
	},
	"systems-blind": {
		"How many systems were never heard.",
		"Systems that a step names and of which no signal is kept.",
		"",
		"A step's system is a label: where events carry another source, the label stays blind and the source stands by itself.",
	},
	"systems-rate": {
		"How many signals arrive per minute.",
		"Receptions of the last 60 minutes, events and spans, wanted by a flow or not; copies count.",
		"60 minutes.",
		"Imported history. Log records without an event name.",
	},
	"systems-waiting": {
		"How many waits there are now for a step of it: its backlog, as far as flows can see.",
		"For each step that names it, the instances that wait for that step; an instance that waits for two steps counts twice.",
		"",
		"Steps without a system. What stands in queues between systems is not seen.",
	},
	"systems-skew": {
		"How many signals came with a time that cannot be meant.",
		"Signals of the last 60 minutes that arrived more than 1 hour before, or more than 1 year after, their own time.",
		"",
		"They are taken all the same.",
	},
	"bus-backlog": {
		"How long the oldest of what was accepted waits to be stored. It is safe on the bus, counts in live numbers and alerts, and is in no list or history yet.",
		"The age of the first batch behind what the writer of ClickHouse is done with, of signals or of spans, whichever is older. A batch is what came together, up to some thousand signals.",
		"The limit of a stream on disk, at which signals are refused.",
		"What is stored within a second; what is stored and not removed from the bus yet, which throughline_bus_backlog on /metrics has too; dead letters, which wait for a replay. Whether the numbers are behind is said beside the clock above.",
	},
	"system-heard": {
		"How long ago its last signal arrived.",
		"The latest reception of any signal of it, wanted by a flow or not; spans that no flow can use count by the second.",
		"",
		"Imported history.",
	},
	"system-delay": {
		"How long after its own time a signal arrives; half of them come sooner.",
		"Reception minus the time of an event or the end of a span, of the last 60 minutes, within 1 %.",
		"",
		"Spans that no flow can use.",
	},
	"system-clock": {
		"How its clock stands to ours, as far as arrivals tell.",
		"Nothing arrives before it happened: where a signal's own time lies after its reception, the clock is ahead by at least that much.",
		"",
		"A clock that is behind looks like a slow way: it is part of Arrives after.",
	},
	"oldest": {
		"How long ago the oldest member began.",
		"Now minus the earliest step of the member that started first.",
		"",
		"",
	},
}

// about are the rows that a tile opens.
func (s stat) about() []silencePreset {
	m := meanings[s.means]
	whole := ""
	if len(s.worth) > mostCurrencies {
		whole = moneyInFull(s.worth)
	}
	rows := []silencePreset{{"In full", whole}, {"What", m.says}, {"Counted", m.counted}, {"Out of", m.of}, {"Left out", m.without}, {"Fresh", s.fresh}, {"Covers", s.covers}, {"Flow version", s.version}}
	if s.usual != nil {
		rows = append(rows, s.usual.rows...)
	}
	kept := rows[:0]
	for _, r := range rows {
		if r.words != "" {
			kept = append(kept, r)
		}
	}
	return kept
}

const coversArrivals = "All that was accepted. What a sender's sampling left out was never sent; repeats of the last minutes are counted once for spans, each time for events."

const (
	freshNow    = "Live: the engine counts each signal as it arrives, and the page follows within a tenth of a second. The time beside Live in the top bar is how far it is."
	freshPast   = "In hindsight: folded from the stored signals with a time up to that instant, whenever they arrived."
	freshStored = "Read from stored history about once a second, or less often where that takes long. The time beside Live in the top bar is that of the live numbers."
	freshSummed = freshStored + " From 20,000 instances on, whole minutes are summed beforehand: a signal that comes more than a minute late counts some ten seconds after it came; of 24 h and more the window ends with a minute that is over, one or two minutes ago."
)

// explained gives tiles of a flow their freshness, coverage, version, source and query. now says
// which of the meanings speak of this moment: those are live whatever the range.
func (f FlowNow) explained(list []stat) []stat {
	return f.explainedFor(question{}, list)
}

// explainedFor is explained for tiles of a step, or of an alert's members.
func (f FlowNow) explainedFor(q question, list []stat) []stat {
	q.rng = f.Range
	if f.Flow != nil {
		q.flow = f.Flow.Name
	}
	for i := range list {
		s := &list[i]
		s.covers, s.query, s.unasked = f.covers(s.means), q.query(s.means), unasked[s.means]
		switch s.fresh = freshSummed; {
		case f.Range == RangeHour || f.Range == "" || ofNow[s.means]:
			s.fresh = freshNow
		case f.Range == RangeAll:
			s.fresh = freshStored
		}
		if f.Flow != nil {
			s.version = f.Flow.Version
			source := "/api/v1/flows/" + url.PathEscape(f.Flow.Name) + "/health?window=" + f.Range.apiWindow()
			if f.played() {
				source += "&at=" + url.QueryEscape(f.At.String())
				s.fresh, s.covers, s.query = freshPast, "", ""
				s.unasked = "None in one statement: the stored signals up to that instant are folded."
			}
			s.source = safe(source)
		}
	}
	return list
}

// and adds what is known of another flow.
func (c *Coverage) and(other *Coverage) *Coverage {
	if c == nil || other == nil {
		return cmp.Or(c, other)
	}
	return &Coverage{c.Signals + other.Signals, c.Joined + other.Joined, c.Waiting + other.Waiting, c.GivenUp + other.GivenUp, c.Keyless + other.Keyless}
}

// covers says how much of what there is the number rests on.
func (f FlowNow) covers(means string) string {
	var words []string
	if h := f.Health; f.Flow != nil && h.ValueCoverage != nil && (means == "in-flight" || means == "stuck" || means == "at-risk") {
		words = append(words, percent(*h.ValueCoverage)+" of the instances in flight carry a value.")
	}
	c := f.Coverage
	if c == nil || c.Signals == 0 || means == "limit" {
		return strings.Join(words, " ")
	}
	say := percent(float64(c.Joined)/float64(c.Signals)) + " of the signals that steps match, since Throughline was started, are in an instance"
	for _, other := range []struct {
		n    int
		word string
	}{{c.Waiting, "wait for a link"}, {c.GivenUp, "waited in vain"}, {c.Keyless, "carried no key of the flow"}} {
		if other.n > 0 {
			say += ", " + count(other.n) + " " + other.word
		}
	}
	return strings.Join(append(words, say+"."), " ")
}

// ofNow are the meanings that speak of this moment, whatever the range.
var ofNow = map[string]bool{
	"in-flight": true, "stuck": true, "needing": true, "waiting": true, "overdue": true, "limit": true, "cohort": true, "at-risk": true, "since": true, "oldest": true,
}

// apiWindow is the range as the API's window.
func (r Range) apiWindow() string {
	switch r {
	case RangeHour, "":
		return "1h"
	}
	return string(r)
}

// statID is the id of what a tile opens.
func statID(strip string, s stat) string { return strip + "-" + s.means + "-" + domID("", s.label) }

func (s stat) opens() bool { return s.means != "" }
