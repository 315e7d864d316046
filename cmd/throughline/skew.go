package main

import (
	"time"

	"throughline/flows"
)

// Signals whose own time is far from when they came are taken like any other, and counted
// (FLOWS.md section 3). Which systems sent them is on the systems' pages.
const (
	skewAhead = time.Hour
	skewOld   = 365 * 24 * time.Hour
)

// skew counts signals by how far their time is from their reception, since the process
// began; imported history is none.
type skew struct{ ahead, old int }

func (k *skew) count(signals []flows.Signal) {
	for i := range signals {
		s := &signals[i]
		if s.AsOf != 0 {
			continue
		}
		switch delay := s.Received.Sub(s.OccursAt()); {
		case delay < -skewAhead:
			k.ahead++
		case delay > skewOld:
			k.old++
		}
	}
}
