package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"throughline/flows"
)

// resolve publishes a person's word that an instance was fixed by hand, as a signal: it is
// kept, read and restored like any other.
func (a *app) resolve(ctx context.Context, f *flows.Flow, r *flows.InstanceRecord, note string) error {
	signal := f.Resolution(r, note, rand.Text(), flows.At(time.Now()))
	if err := a.Publish(ctx, flows.Batch{Signals: []flows.Signal{signal}}); err != nil {
		return fmt.Errorf("publish a resolution: %w", err)
	}
	return nil
}
