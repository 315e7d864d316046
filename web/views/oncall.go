package views

import (
	"time"

	"throughline/flows"
)

// What the silence form sends for how long, besides lengths of time.
const (
	SilenceMorning   = "morning" // until Clock.Morning
	SilenceHours     = "hours"   // as many as the field of that name says
	SilenceMostHours = 720
)

// Morning is 08:00 of the next day in the page's zone: when people are back.
func (c Clock) Morning() time.Time {
	day := c.local(c.Now).AddDate(0, 0, 1)
	return time.Date(day.Year(), day.Month(), day.Day(), 8, 0, 0, 0, c.zone())
}

// Quietness orders alerts: nobody has it, somebody has it, nobody is told of it.
func (a Alert) Quietness() int {
	switch {
	case a.Silenced:
		return 2
	case a.Ack.Given():
		return 1
	}
	return 0
}

// pill is the alert's state: filled only where it waits for somebody.
func (a Alert) pill() look {
	if a.Quietness() > 0 {
		return lookStuck.calm()
	}
	return lookStuck
}

// silencedUntil is when receivers are told again; false where no silence is the reason.
func (a Alert) silencedUntil() (flows.Time, bool) {
	if len(a.Silences) == 0 {
		return flows.NoTime, false
	}
	return a.Silences[0].Until, true
}

// silencedWords say until when nobody is told.
func (a Alert) silencedWords(c Clock) string {
	if until, ok := a.silencedUntil(); ok {
		return "Silenced until " + c.at(until)
	}
	return "Held back by a rule in alertmanager.yml"
}

// endable says whether a silence can be ended with this alert.
func (a Alert) endable() bool {
	for _, s := range a.Silences {
		if s.Own {
			return true
		}
	}
	return false
}

// silencePreset is one choice of the silence form.
type silencePreset struct{ value, words string }

func (v AlertDetail) presets() []silencePreset {
	c := v.Clock
	return []silencePreset{
		{"1h", "1 hour"},
		{"4h", "4 hours"},
		{SilenceMorning, "until tomorrow 08:00 " + c.ZoneName()},
	}
}
