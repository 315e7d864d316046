package flows

// HeldTime is a time in which one hold of the flow held an instance.
type HeldTime struct {
	Hold string // its id
	From Time
	To   Time // NoTime where nothing ended it yet
}

// HeldTimes are the times in which holds of the flow held an instance, by hold in file
// order. It knows what the signals say, also of what is still to come.
func (f *Flow) HeldTimes(occurrences []Occurrence) (list []HeldTime) {
	for h := range f.Holds {
		f.eachHeld(h, occurrences, func(v Interval) {
			if v.To == endless {
				v.To = NoTime
			}
			list = append(list, HeldTime{f.Holds[h].ID, v.From, v.To})
		})
	}
	return list
}
