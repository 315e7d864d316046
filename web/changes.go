package web

import (
	"cmp"
	"context"
	"slices"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

const (
	shownChanges  = 8             // that the overview lists
	nearChanges   = 6             // that an alert lists
	changesBefore = 2 * time.Hour // an alert looks back

	// Releases are rare, and all pages of flows have them: asked each second they would cost more than they tell.
	releasesEvery = 10 * time.Second
)

// changes are what happened lately, latest first.
func (s *Server) changes(ctx context.Context, now flows.Time) []views.Change {
	releases, _ := s.releases(ctx)
	list := released(releases, now.Add(-24*time.Hour), now)
	for _, a := range s.episodes() {
		list = append(list, views.Change{At: a.StartsAt, Kind: views.ChangeOpened, Alert: a})
		if a.Ack.Given() {
			list = append(list, views.Change{At: a.Ack.At, Kind: views.ChangeAcked, Alert: a})
		}
		if a.ResolvedAt != flows.NoTime {
			list = append(list, views.Change{At: a.ResolvedAt, Kind: views.ChangeResolved, Alert: a})
		}
	}
	slices.SortStableFunc(list, func(a, b views.Change) int { return cmp.Compare(b.At, a.At) })
	return list[:min(len(list), shownChanges)]
}

// changesAround are what happened to other parts before the first member of an alert waited,
// or while it did until its limit passed; the nearest first. What is of the same flow goes
// before what is not, where not all can be shown. Nil where history cannot be read.
func (s *Server) changesAround(ctx context.Context, f *flows.Flow, a Alert, first flows.Time) []views.Change {
	from, own := first.Add(-changesBefore), servicesOf(f)
	releases, ok := s.releases(ctx)
	if !ok {
		return nil
	}
	list := released(releases, from, a.StartsAt)
	for _, other := range s.episodes() {
		if other.ID != a.ID && other.StartsAt >= from && other.StartsAt < a.StartsAt {
			list = append(list, views.Change{At: other.StartsAt, Kind: views.ChangeOpened, Alert: other})
		}
	}
	systems, _, _ := s.systemsNow(ctx) // none where they are not known
	for i := range systems {
		n := &systems[i]
		if a.ResolvedAt == flows.NoTime && own[n.Name] && n.State == views.SystemUnjudged && n.Traffic.Last >= from && n.Traffic.Last < a.StartsAt {
			list = append(list, views.Change{At: n.Traffic.Last, Kind: views.ChangeSilent, System: n.Name})
		}
	}
	near := func(a, b views.Change) int { return cmp.Compare(a.At.Sub(first).Abs(), b.At.Sub(first).Abs()) }
	foreign := func(ch views.Change) int {
		if ch.Alert.Flow == f.Name || own[ch.System] || own[ch.Release.Service] {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b views.Change) int { return cmp.Or(foreign(a)-foreign(b), near(a, b)) })
	list = list[:min(len(list), nearChanges)]
	slices.SortStableFunc(list, near)
	return list
}

// servicesOf are the services and systems that a flow names.
func servicesOf(f *flows.Flow) map[string]bool {
	own := map[string]bool{}
	for i := range f.Steps {
		own[f.Steps[i].System], own[f.Steps[i].Match.Service] = true, true
	}
	delete(own, "")
	return own
}

// releasesOf are the releases of a flow's services in [from, to).
func (s *Server) releasesOf(ctx context.Context, f *flows.Flow, from, to flows.Time) []flows.Release {
	all, _ := s.releases(ctx)
	own := servicesOf(f)
	return slices.DeleteFunc(slices.Clone(all), func(r flows.Release) bool { return !own[r.Service] || r.At < from || r.At >= to })
}

// releases are what is known of them; false where history cannot be read, or is not yet.
func (s *Server) releases(ctx context.Context) ([]flows.Release, bool) {
	const name = "releases"
	if kept := s.past.last(name); time.Since(kept.answered) < releasesEvery {
		list, ok := kept.value.([]flows.Release)
		return list, ok
	}
	list, ok, err := lately(ctx, s.past, name, s.history.Releases)
	return list, ok && err == nil
}

func released(all []flows.Release, from, to flows.Time) []views.Change {
	list := []views.Change{}
	for _, r := range all {
		if r.At >= from && r.At < to {
			list = append(list, views.Change{At: r.At, Kind: views.ChangeReleased, Release: r})
		}
	}
	return list
}
