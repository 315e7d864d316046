package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/silence/silencepb"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/types/known/timestamppb"

	"throughline/flows"
)

// What a person may say, in bytes.
const (
	maxName = 200
	maxNote = 4000
)

// maxSilence bounds a silence: one that outlives everybody's memory hides what it was for.
const maxSilence = 90 * 24 * time.Hour

// Acknowledge notes who looks after a firing alert. It is on disk when Acknowledge returns
// nil; receivers are told as before. A later word takes the place of an earlier one.
// flows.ErrNotFound: nothing with that id fires. *flows.InputError: the words cannot be taken.
func (r *Router) Acknowledge(id, by, note string) error {
	if err := checkWords(by, note); err != nil {
		return err
	}
	now := flows.At(time.Now())
	return r.note(id, flows.Ack{By: by, Note: note, At: now}, flows.LogEntry{At: now, What: flows.LogAcknowledged, By: by, Note: note, Until: flows.NoTime})
}

// Unacknowledge takes the word back. It is an error only where nothing with that id fires.
func (r *Router) Unacknowledge(id, by string) error {
	return r.note(id, flows.Ack{}, flows.LogEntry{At: flows.At(time.Now()), What: flows.LogTakenBack, By: by, Until: flows.NoTime})
}

func (r *Router) note(id string, ack flows.Ack, entry flows.LogEntry) error {
	r.mu.Lock()
	in := r.book.find(id)
	if in == nil {
		r.mu.Unlock()
		return flows.ErrNotFound
	}
	in.ack = ack
	in.enter(entry)
	r.mu.Unlock()
	r.saver.mark(incidentsFile)
	r.refresh()
	return r.keep()
}

// keep writes what a person said before they are told that it is so.
func (r *Router) keep() error {
	if !r.save() {
		r.signal()
		return errors.New("it holds for now, but could not be written to disk; the log says why")
	}
	return nil
}

func checkWords(by, words string) error {
	switch {
	case by == "":
		return &flows.InputError{Field: "by", Detail: "by is empty: say who you are."}
	case len(by) > maxName:
		return &flows.InputError{Field: "by", Detail: fmt.Sprintf("by is %d bytes long; at most %d are taken.", len(by), maxName)}
	case len(words) > maxNote:
		return &flows.InputError{Field: "note", Detail: fmt.Sprintf("The note is %d bytes long; at most %d are taken.", len(words), maxNote)}
	}
	return nil
}

// Silence keeps receivers from being told of this alert, whose labels it names all, until
// an instant. A silence of this alert alone that is active already is ended: the new one
// takes its place. Errors are those of Acknowledge.
func (r *Router) Silence(id, by, why string, until time.Time) error {
	if err := checkWords(by, why); err != nil {
		return err
	}
	now := time.Now()
	switch {
	case why == "":
		return &flows.InputError{Field: "why", Detail: "Say why: whoever sees the silence has to know."}
	case !until.After(now):
		return &flows.InputError{Field: "until", Detail: "The silence would end before it began. Give an end that is to come."}
	case until.Sub(now) > maxSilence:
		return &flows.InputError{Field: "until", Detail: "A silence lasts 90 days at most."}
	}
	labels, ok := r.labels(id)
	if !ok {
		return flows.ErrNotFound
	}
	before := r.silencesOf(labels)
	var matchers []*silencepb.Matcher
	for name, value := range labels {
		matchers = append(matchers, &silencepb.Matcher{Type: silencepb.Matcher_EQUAL, Name: string(name), Pattern: string(value)})
	}
	slices.SortFunc(matchers, func(a, b *silencepb.Matcher) int { return cmp.Compare(a.Name, b.Name) })
	err := r.silences.Set(context.Background(), &silencepb.Silence{
		MatcherSets: []*silencepb.MatcherSet{{Matchers: matchers}}, StartsAt: timestamppb.New(now), EndsAt: timestamppb.New(until),
		CreatedBy: by, Comment: why,
	})
	if err != nil {
		return fmt.Errorf("silence alert %s: %w", id, err)
	}
	r.enter(id, flows.LogEntry{At: flows.At(now), What: flows.LogSilenced, By: by, Note: why, Until: flows.At(until)})
	_, err = r.expire(before)
	return err
}

// Unsilence ends the silences that are of this alert alone; others are not its to end.
func (r *Router) Unsilence(id, by string) error {
	labels, ok := r.labels(id)
	if !ok {
		return flows.ErrNotFound
	}
	ended, err := r.expire(r.silencesOf(labels))
	if ended > 0 {
		r.enter(id, flows.LogEntry{At: flows.At(time.Now()), What: flows.LogSilenceEnded, By: by, Until: flows.NoTime})
		r.refresh()
		err = errors.Join(err, r.keep())
	}
	return err
}

// expire ends those that are of one alert alone, and says how many.
func (r *Router) expire(silences []flows.Silence) (ended int, err error) {
	for _, s := range silences {
		if !s.Own {
			continue
		}
		if err := r.silences.Expire(context.Background(), s.ID); err != nil && !errors.Is(err, silence.ErrNotFound) {
			return ended, fmt.Errorf("end silence %s: %w", s.ID, err)
		}
		ended++
	}
	r.refresh()
	return ended, r.keep()
}

func (r *Router) labels(id string) (model.LabelSet, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.book.find(id)
	if in == nil {
		return nil, false
	}
	return in.labels, true
}

// silencesOf are those that hold for the labels now, the last to end first.
func (r *Router) silencesOf(labels model.LabelSet) []flows.Silence {
	active, _, err := r.silences.Query(context.Background(), silence.QState(silence.SilenceStateActive), silence.QMatches(labels))
	if err != nil {
		r.opts.Log.Error("look up the silences of an alert", "err", err)
		return nil
	}
	var list []flows.Silence
	for _, s := range active {
		list = append(list, flows.Silence{
			ID: s.Id, By: s.CreatedBy, Why: s.Comment, From: flows.At(s.StartsAt.AsTime()), Until: flows.At(s.EndsAt.AsTime()), Own: isOwn(s, labels),
		})
	}
	slices.SortFunc(list, func(a, b flows.Silence) int {
		return cmp.Or(cmp.Compare(b.Until, a.Until), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// isOwn says whether s names each of the labels, and so nothing but this alert.
func isOwn(s *silencepb.Silence, labels model.LabelSet) bool {
	if len(s.MatcherSets) != 1 || len(s.MatcherSets[0].Matchers) != len(labels) {
		return false
	}
	for _, m := range s.MatcherSets[0].Matchers {
		if value, ok := labels[model.LabelName(m.Name)]; !ok || m.Type != silencepb.Matcher_EQUAL || m.Pattern != string(value) {
			return false
		}
	}
	return true
}
