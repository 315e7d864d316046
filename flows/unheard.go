package flows

// That a span did not come proves nothing where its producer sends only some of its spans.
// An instance with a signal of such a producer waits in vain for what is matched by spans, and
// so does any for spans of a system that systems.yaml calls sampled: it is unknown, not stuck,
// unless the flow says `sampling: ok`. Events are never sampled.

// samples says whether a step is matched by spans of a system that sends only some of them.
func (s *Step) samples() bool { return s.Sampled && s.Match.Kind == Span }

// unheard is why a step may have occurred unseen; ReasonNone where it would have been seen.
func (d *folder) unheard(step int) Reason {
	if _, ever := d.unheardSince(step); ever {
		return ReasonSampled
	}
	return ReasonNone
}

// unheardSince is from when on a step may have occurred unseen, NoTime for always; false for
// never.
func (d *folder) unheardSince(step int) (since Time, ever bool) {
	if s := &d.flow.Steps[step]; s.samples() {
		return NoTime, !d.flow.Sampling
	} else if s.Match.Kind == Span {
		return d.sampledAt, d.sampledAt != NoTime
	}
	return NoTime, false
}

// unheardAll is why all that the instance must wait for may have occurred unseen: what is
// due, or, where nothing is, what is still to come. ReasonNone where it waits for nothing.
func (d *folder) unheardAll() (reason Reason) {
	if d.sampledAt == NoTime && !d.plan.sampled {
		return ReasonNone
	}
	awaited := 0
	for _, w := range d.in.WaitingOn {
		if d.flow.Steps[w.Step].Optional {
			continue
		}
		if awaited++; d.unheard(w.Step) == ReasonNone {
			return ReasonNone
		}
	}
	due := awaited
	for s := 0; s < len(d.flow.Steps) && due == 0; s++ {
		if d.occurred(s) || d.in.Steps[s].Skipped || !d.required(s) {
			continue
		}
		if awaited++; d.unheard(s) == ReasonNone {
			return ReasonNone
		}
	}
	if awaited == 0 {
		return ReasonNone
	}
	return ReasonSampled
}
