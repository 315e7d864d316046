package views

import "throughline/flows"

// heldWords say what holds it, until when, and what that does to its limits.
func (v InstanceTimeline) heldWords() []phrase {
	d := v.Detail
	var said []phrase
	if d.Hold == holdDowntime {
		said = sentence("Held: ", d.System, " is in planned downtime since ", v.at(d.HeldSince))
	} else {
		said = sentence("Held by ", d.Hold, " since ", v.at(d.HeldSince))
	}
	if known(d.HeldUntil) {
		said = append(said, sentence(", at the latest until ", v.at(d.HeldUntil))...)
	}
	said = append(said, phrase{text: "; limits pause until then, and nobody is told."})
	for _, w := range d.WaitingOn {
		in := ""
		if w.System != "" {
			in = " in " + w.System
		}
		switch {
		case w.Deadline == flows.NoTime:
			said = append(said, sentence(" It waits for ", v.title(w.Step), in+".")...)
		case w.Deadline < d.HeldSince:
			said = append(said, sentence(" The limit of ", v.title(w.Step), in+" passed before, at ", v.at(w.Deadline), ": it is stuck as soon as the hold ends.")...)
		default:
			said = append(said, sentence(" It waits for ", v.title(w.Step), in+", at the latest until ", v.at(w.Deadline), ".")...)
		}
	}
	return said
}

// holdDowntime stands where a hold's id would, for the planned downtime of the system that is waited for.
const holdDowntime = "downtime"

// downtimes are the planned downtimes of the systems that it waits for, since it does.
func (v InstanceTimeline) downtimes() (list []flows.HeldTime) {
	if v.Flow == nil {
		return nil
	}
	for _, w := range v.Detail.WaitingOn {
		i := stepIndex(v.Flow, w.Step)
		if i < 0 {
			continue
		}
		for _, down := range v.Flow.Steps[i].Downtime {
			if down.To > w.DueAt && down.From <= v.now() {
				list = append(list, flows.HeldTime{Hold: "planned downtime of " + w.System, From: max(down.From, w.DueAt), To: down.To})
			}
		}
	}
	return list
}

// downtime is the planned downtime of a system that goes on, or else comes next.
func (n *SystemNow) downtime(now flows.Time) (flows.Interval, bool) {
	for _, s := range n.Steps {
		for _, down := range s.Flow.Steps[s.Step].Downtime {
			if down.To > now {
				return down, true
			}
		}
	}
	return flows.Interval{}, false
}

// downtimeWords say that a system is, or will be, down on purpose.
func (n *SystemNow) downtimeWords(c Clock) []phrase {
	switch down, ok := n.downtime(c.Now); {
	case !ok:
		return nil
	case down.From <= c.Now:
		return sentence("In planned downtime until ", c.at(down.To), ": what waits for it is held.")
	default:
		return sentence("Its next planned downtime is from ", c.at(down.From), " until ", c.at(down.To), ".")
	}
}
