package views

// unknownWords say why nobody can tell whether the instance is stuck, and what would.
func (v InstanceTimeline) unknownWords() []phrase {
	d := v.Detail
	said := sentence("Nobody can tell whether this is stuck. No signal since ", v.at(d.LastAt), ", for longer than the flow allows")
	for _, w := range d.WaitingOn {
		if w.Step == d.ReasonStep && w.Deadline == d.StuckSince {
			system := ""
			if w.System != "" {
				system = " in " + w.System
			}
			said = sentence("Nobody can tell whether this is stuck. It waits for ", v.title(w.Step), system+"; the limit passed at ", v.at(d.StuckSince))
		}
	}
	return append(said, sentence(". ", "", sampledWords+" It clears with the next step that is heard of.")...)
}

// sampledWords are the reason `sampled` in words.
const sampledWords = "What is awaited would come as a span, from producers of which some send only part of their spans (sampling): that none came proves nothing. " +
	"To know, send these spans whole, or events; with sampling: ok in the flow file it is called stuck all the same."
