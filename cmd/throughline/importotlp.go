package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"throughline/flows"
	"throughline/flows/mining"
	"throughline/ingest/bus"
	"throughline/ingest/otlp"
)

const formatOTLP = "otlp"

// isOTLP says whether a file is OTLP, by the format that was asked for or else its content.
// Options name columns of a table, which OTLP is not.
func isOTLP(path, format string, o mining.Options) (bool, error) {
	if format != "" && format != formatOTLP {
		return false, nil
	}
	if format == "" {
		head := make([]byte, 4<<10)
		n := 0
		if err := withPlain(path, func(r *bufio.Reader) (err error) {
			if n, err = io.ReadFull(r, head); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return err
		}); err != nil {
			return false, err
		}
		if !otlp.IsFile(head[:n]) {
			return false, nil
		}
	}
	if o != (mining.Options{}) {
		return false, errors.New("import: OTLP has no columns; leave case, activity, time and sequence out: the flow's match and keys say what is used")
	}
	return true, nil
}

// withPlain reads a file without its compression.
func withPlain(path string, read func(*bufio.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	plain := bufio.NewReader(file)
	if head, _ := plain.Peek(2); string(head) == "\x1f\x8b" {
		unzip, err := gzip.NewReader(plain)
		if err != nil {
			return fmt.Errorf("import %s: gzip: %w", filepath.Base(path), err)
		}
		plain = bufio.NewReader(unzip)
	}
	if err := read(plain); err != nil {
		return fmt.Errorf("import %s: %w", filepath.Base(path), err)
	}
	return nil
}

// readOTLP calls take for what can be used of each document, and notes the rest.
func readOTLP(path string, set *flows.Set, received flows.Time, s *importSummary, take func(flows.Batch) error) error {
	s.Rows, s.Faulty, s.Faults = 0, 0, s.Faults[:0]
	err := withPlain(path, func(r *bufio.Reader) error {
		for d, err := range otlp.ReadFile(r, set, received) {
			if err != nil {
				return err //nolint:wrapcheck // withPlain does
			}
			if s.Faulty += d.Rejected; d.Fault != "" && len(s.Faults) < maxRowFaults {
				s.Faults = append(s.Faults, d.Fault)
			}
			s.Rows += d.Batch.SpanCount() + len(d.Batch.Logs)
			for i := range d.Batch.Signals {
				if d.Batch.Signals[i].Kind == flows.Event {
					s.Rows++
				}
			}
			if err := take(d.Batch); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && s.Rows == 0 {
		err = fmt.Errorf("import %s: no span or log record can be used%s", filepath.Base(path), firstFault(s.Faults))
	}
	return err
}

// scanOTLP finds the clock of a file and how many of the flow's keys it has.
func (a *app) scanOTLP(flow *flows.Flow, path string, s *importSummary) error {
	cases := map[string]struct{}{}
	err := readOTLP(path, a.rules.Set(), flows.At(time.Now()), s, func(b flows.Batch) error {
		for i := range b.Signals {
			s.AsOf = max(s.AsOf, b.Signals[i].OccursAt())
			for _, key := range b.Signals[i].Keys {
				if key.Type == flow.Key {
					cases[key.Value] = struct{}{}
				}
			}
		}
		return nil
	})
	s.Cases = len(cases)
	return err
}

// publishOTLP takes the same way as what is sent, with the file's own clock.
func (a *app) publishOTLP(ctx context.Context, path string, s *importSummary, progress func(int)) error {
	if err := readOTLP(path, a.rules.Set(), flows.At(time.Now()), s, func(b flows.Batch) error {
		for i := range b.Signals {
			b.Signals[i].AsOf = s.AsOf
		}
		if err := a.publishPatiently(ctx, b); err != nil {
			return err
		}
		progress(s.Rows)
		return nil
	}); err != nil {
		return err
	}
	return a.awaitSpans(ctx)
}

// awaitSpans waits until all spans that are on the bus now are in ClickHouse.
func (a *app) awaitSpans(ctx context.Context) error {
	last, err := a.bus.LastSeq(ctx, bus.Spans)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := a.bus.Done(ctx, bus.Spans)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		if done >= last {
			return nil
		}
		select {
		case <-tick.C:
		case <-a.ctx.Done():
			return fmt.Errorf("import: %w", a.ctx.Err())
		case <-ctx.Done():
			return fmt.Errorf("import: %w", ctx.Err())
		}
	}
}

// publishPatiently waits while the bus is busy: it makes room as the store writes.
func (a *app) publishPatiently(ctx context.Context, b flows.Batch) error {
	for {
		err := a.bus.Publish(ctx, b)
		if err == nil {
			return nil
		}
		if !bus.Busy(err) {
			return fmt.Errorf("import: %w", err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("import: %w", ctx.Err())
		}
	}
}
