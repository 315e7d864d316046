package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// listeners are the open ports.
type listeners struct{ http, otlpGRPC, otlpHTTP net.Listener }

// listen opens the ports first, so that a taken one is said before anything starts, and
// puts the real addresses into the configuration.
func listen(ctx context.Context, c *Config) (l listeners, err error) {
	for _, p := range []struct {
		key  string
		addr *string
		to   *net.Listener
	}{
		{"http_addr", &c.HTTPAddr, &l.http},
		{"otlp_grpc_addr", &c.OTLPGRPCAddr, &l.otlpGRPC},
		{"otlp_http_addr", &c.OTLPHTTPAddr, &l.otlpHTTP},
	} {
		var lc net.ListenConfig
		if *p.to, err = lc.Listen(ctx, "tcp", *p.addr); err != nil {
			return l, errors.Join(fmt.Errorf("%s: %w; choose another in the configuration, port 0 for any free one", p.key, err), l.close())
		}
		*p.addr = (*p.to).Addr().String()
	}
	return l, nil
}

func (l listeners) close() error {
	var errs []error
	for _, one := range []net.Listener{l.http, l.otlpGRPC, l.otlpHTTP} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}

// bound has each port hold so many connections at most, and count them.
func (l *listeners) bound(meter metric.Meter, most int64) error {
	open, err1 := meter.Int64UpDownCounter("throughline.connections.open", metric.WithUnit("{connection}"),
		metric.WithDescription("Connections that are open, by port"))
	refused, err2 := meter.Int64Counter("throughline.connections.refused", metric.WithUnit("{connection}"),
		metric.WithDescription("Connections that were closed at once, because too many were open"))
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("make instruments: %w", err)
	}
	for name, port := range map[string]*net.Listener{"http": &l.http, "otlp_grpc": &l.otlpGRPC, "otlp_http": &l.otlpHTTP} {
		*port = &boundedListener{
			Listener: *port, most: most, open: open, refused: refused,
			port: metric.WithAttributeSet(attribute.NewSet(attribute.String("port", name))),
		}
	}
	return nil
}

// maxConnections is what each of the three ports may hold. An idle one takes 20 to 60 KB.
// Where the process may open few files, they share those, and leave some for the data.
func maxConnections() int64 {
	const most, least, reserved = 8192, 64, 1024
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return most
	}
	return min(most, max(least, (int64(limit.Cur)-reserved)/3))
}

// boundedListener closes at once what comes when it is full: who waited in a queue instead
// would learn nothing, and idle connections end by their time.
type boundedListener struct {
	net.Listener
	most    int64
	now     atomic.Int64
	open    metric.Int64UpDownCounter
	refused metric.Int64Counter
	port    metric.MeasurementOption
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // servers look at it by type
		}
		if l.now.Add(1) > l.most {
			l.now.Add(-1)
			l.refused.Add(context.Background(), 1, l.port)
			_ = conn.Close() // nobody is told anything on it
			continue
		}
		l.open.Add(context.Background(), 1, l.port)
		return &boundedConn{Conn: conn, listener: l}, nil
	}
}

type boundedConn struct {
	net.Conn
	listener *boundedListener
	once     sync.Once
}

// Close implements net.Conn; servers may call it twice.
func (c *boundedConn) Close() error {
	c.once.Do(func() {
		c.listener.now.Add(-1)
		c.listener.open.Add(context.Background(), -1, c.listener.port)
	})
	return c.Conn.Close() //nolint:wrapcheck // as above
}
