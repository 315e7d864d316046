package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// TestFullPort: a port that holds as many connections as it may closes what comes, counts
// it, and has room again when one ends.
func TestFullPort(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reader := metric.NewManualReader()
	ports := listeners{http: raw}
	if err := ports.bound(metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"), 2); err != nil {
		t.Fatal(err)
	}
	defer ports.http.Close()
	accepted := make(chan net.Conn)
	go func() { // ends with the listener
		defer close(accepted)
		for {
			conn, err := ports.http.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dialed := func() net.Conn { return dial(t, raw.Addr().String(), "") }
	dialed()
	first := <-accepted
	dialed()
	<-accepted
	if said, err := awaitEnd(dialed(), 5*time.Second); err != nil || said != "" {
		t.Errorf("the third: %q %v", said, err)
	}
	for range 2 { // the second time does not count
		if err := first.Close(); err != nil && !isClosed(err) {
			t.Error(err)
		}
	}
	dialed()
	<-accepted
	if said, err := awaitEnd(dialed(), 5*time.Second); err != nil || said != "" {
		t.Errorf("full again: %q %v", said, err)
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
			got[m.Name] += point.Value
		}
	}
	if got["throughline.connections.open"] != 2 || got["throughline.connections.refused"] != 2 {
		t.Errorf("counted %v", got)
	}
}

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

func TestMaxConnections(t *testing.T) {
	if n := maxConnections(); n < 64 || n > 8192 {
		t.Errorf("%d", n)
	}
}
