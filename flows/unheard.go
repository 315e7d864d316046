package flows

// That a span did not come proves nothing where its producer sends only some of its spans.
// An instance with a signal of such a producer waits in vain for what is matched by spans:
// it is unknown, not stuck, unless the flow says `sampling: ok`. Events are never sampled.

// unheard is why a step may have occurred unseen; ReasonNone where it would have been seen.
func (d *folder) unheard(step int) Reason {
	if d.sampledAt != NoTime && d.flow.Steps[step].Match.Kind == Span {
		return ReasonSampled
	}
	return ReasonNone
}

// unheardAll is why all that the instance must wait for may have occurred unseen: what is
// due, or, where nothing is, what is still to come. ReasonNone where it waits for nothing.
func (d *folder) unheardAll() (reason Reason) {
	if d.sampledAt == NoTime {
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
