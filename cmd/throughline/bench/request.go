package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// post sends the events n to n+Batch-1 in one request. Its body is written by hand: the
// client shares the machine with what it measures.
func (s *sender) post(ctx context.Context, n int) error {
	contentType := "application/cloudevents+json"
	var body []byte
	now := time.Now().UTC().Format(time.RFC3339Nano)
	if s.cfg.Batch == 1 {
		body = s.event(nil, n, now)
	} else {
		contentType = "application/cloudevents-batch+json"
		body = append(body, '[')
		for i := range s.cfg.Batch {
			if i > 0 {
				body = append(body, ',')
			}
			body = s.event(body, n+i, now)
		}
		body = append(body, ']')
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("post events: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	if s.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.cfg.Token)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("post events: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("post events: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("post events: %s: %s", resp.Status, answer)
	}
	return nil
}

func (s *sender) event(to []byte, n int, now string) []byte {
	return fmt.Appendf(to, `{"specversion":"1.0","id":"%s-%d","source":"bench","type":%q,"time":%q,"datacontenttype":"application/json",`+
		`"data":{%q:"%s-%d","region":"EU","channel":"web","order":{"total":149.90,"currency":"EUR"}}}`,
		s.run, n, s.cfg.Event, now, s.cfg.Key, s.run, n)
}
