package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// eventClient posts CloudEvents as a producer with an outbox does: what may be accepted
// later is sent again until it is.
type eventClient struct {
	url  string
	http *http.Client
	log  *slog.Logger
}

func newEventClient(address string, log *slog.Logger) *eventClient {
	return &eventClient{
		url:  "http://" + address + "/api/v1/events",
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		log:  log,
	}
}

func (c *eventClient) close() { c.http.CloseIdleConnections() }

// post sends one event by itself, or several as a batch.
func (c *eventClient) post(ctx context.Context, events []event.Event) {
	pauses := backoff.NewExponentialBackOff()
	pauses.MaxInterval = 5 * time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, c.try(ctx, events) },
		backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
	if err != nil && ctx.Err() == nil {
		c.log.Error("simulated events were refused", "first", events[0].Type(), "count", len(events), "error", err)
	}
}

func (c *eventClient) try(ctx context.Context, events []event.Event) error {
	req, err := c.request(ctx, events)
	if err != nil {
		return backoff.Permanent(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("post events: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			return backoff.RetryAfter(seconds)
		}
		return fmt.Errorf("post events: %s", resp.Status)
	case resp.StatusCode != http.StatusOK:
		return backoff.Permanent(fmt.Errorf("post events: %s: %s", resp.Status, body))
	}
	var answer struct{ Rejected []json.RawMessage }
	if err := json.Unmarshal(body, &answer); err != nil {
		return backoff.Permanent(fmt.Errorf("read answer: %w", err))
	}
	if len(answer.Rejected) > 0 {
		return backoff.Permanent(fmt.Errorf("%d events rejected: %s", len(answer.Rejected), answer.Rejected[0]))
	}
	return nil
}

func (c *eventClient) request(ctx context.Context, events []event.Event) (*http.Request, error) {
	if len(events) > 1 {
		return cehttp.NewHTTPRequestFromEvents(ctx, c.url, events)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	if id := events[0].ID(); id[len(id)-1]%2 == 0 { // the others with the attributes as headers
		ctx = binding.WithForceStructured(ctx)
	}
	return req, cehttp.WriteRequest(ctx, binding.ToMessage(&events[0]), req)
}

// services trace what they do, each with its own SDK and resource.
var services = []string{"webshop", "payments", "warehouse", "order-router", "erp", "checkin-kiosk", "ehr", "insurance-gateway"}

type telemetry struct {
	exporters map[string]sdktrace.SpanExporter
	mu        sync.Mutex                          // guards providers
	providers map[string]*sdktrace.TracerProvider // by service and version
}

func newTelemetry(ctx context.Context, address string) (*telemetry, error) {
	t := &telemetry{exporters: map[string]sdktrace.SpanExporter{}, providers: map[string]*sdktrace.TracerProvider{}}
	for _, service := range services {
		exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithInsecure())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("export spans of %s to %s: %w", service, address, err), t.close(ctx))
		}
		t.exporters[service] = exporter
	}
	return t, nil
}

func provider(service, version string, exporter sdktrace.TracerProviderOption) *sdktrace.TracerProvider {
	return sdktrace.NewTracerProvider(exporter, sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service), attribute.String("service.version", version))))
}

func (t *telemetry) tracer(service, version string) trace.Tracer {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.providers[service+" "+version]
	if p == nil {
		p = provider(service, version, sdktrace.WithBatcher(lent{t.exporters[service]}, sdktrace.WithBatchTimeout(500*time.Millisecond)))
		t.providers[service+" "+version] = p
	}
	return p.Tracer("example.com/" + service)
}

// lent is an exporter that the versions of a service share: it ends with the last of them.
type lent struct{ sdktrace.SpanExporter }

func (lent) Shutdown(context.Context) error { return nil }

// close sends what is left.
func (t *telemetry) close(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, p := range t.providers {
		errs = append(errs, p.Shutdown(ctx))
	}
	for _, e := range t.exporters {
		errs = append(errs, e.Shutdown(ctx))
	}
	return errors.Join(errs...)
}
