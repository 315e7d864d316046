// Package simulate plays a small company's business, for the demo: web orders, purchases
// and patients. It speaks to Throughline as strangers would, and knows nothing of its
// inside: spans through the OpenTelemetry SDK over OTLP, events as CloudEvents over HTTP.
//
// Business time is fast: a case takes half a minute. Things go wrong as they do: the ERP
// posts no invoices for a while and then catches up, payments are rejected, packers are
// late, the bank slips a batch, a parcel is lost.
package simulate

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

//go:embed flows/*.yaml
var files embed.FS

// Flows are the example flow files, as config_dir/flows wants them.
func Flows() (fs.FS, error) { return fs.Sub(files, "flows") }

// Config of a simulation.
type Config struct {
	HTTP     string  // address that takes CloudEvents, host:port
	OTLPGRPC string  // address that takes spans, host:port
	Rate     float64 // cases begun a second, all flows together
	Seed     uint64  // same seed, same decisions in each case
	Log      *slog.Logger
}

// maxCases under way at once. More are not begun until some end: while the server is away
// cases wait for it, and they must not pile up.
const maxCases = 5000

// Run plays until ctx ends, then sends what is under way and returns. While the server
// cannot be reached, cases wait.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Rate <= 0 {
		return fmt.Errorf("simulate: rate %g: it must be above 0", cfg.Rate)
	}
	events := newEventClient(cfg.HTTP, cfg.Log)
	defer events.close()
	telemetry, err := newTelemetry(ctx, cfg.OTLPGRPC)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	play(ctx, cfg, outlets{post: events.post, tracer: telemetry.tracer})
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := telemetry.close(flush); err != nil {
		return fmt.Errorf("simulate: send the last spans: %w", err)
	}
	return nil
}

// play begins cases at random moments, cfg.Rate a second on average.
func play(ctx context.Context, cfg Config, out outlets) {
	w := newWorld(out, time.Now())
	var cases sync.WaitGroup
	defer cases.Wait()
	carrier, stop := context.WithCancel(ctx)
	defer stop()
	cases.Go(func() { w.carrier.run(carrier, out.post) })

	free := make(chan struct{}, maxCases)
	arrivals := rand.New(rand.NewPCG(cfg.Seed, 0))
	next := time.NewTimer(0)
	defer next.Stop()
	for n := uint64(1); ; n++ {
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return
		}
		tell := w.pick(arrivals.Float64())
		c := w.begin(cfg.Seed, n)
		cases.Go(func() {
			tell(ctx, c)
			<-free
		})
		next.Reset(time.Duration(arrivals.ExpFloat64() / cfg.Rate * float64(time.Second)))
	}
}

// world is what all cases share.
type world struct {
	out     outlets
	began   time.Time
	run     string // part of every business key: a new run must not repeat the keys of the last
	carrier *feed
}

func newWorld(out outlets, began time.Time) *world {
	return &world{
		out: out, began: began, run: strings.ToUpper(strconv.FormatInt(began.Unix(), 36)),
		carrier: &feed{reports: make(chan event.Event, 64)},
	}
}

// pick chooses what kind of case begins; share is from 0 to 1.
func (w *world) pick(share float64) func(context.Context, *story) {
	switch {
	case share < 0.5:
		return tellOrder
	case share < 0.7:
		return tellPurchase
	}
	return tellVisit
}

func (w *world) begin(seed, n uint64) *story {
	return &story{world: w, number: n, rand: rand.New(rand.NewPCG(seed, n))}
}

// outage is a fault that comes and goes.
type outage struct{ first, down, up time.Duration }

// at tells whether the fault is on, so long after the beginning.
func (o outage) at(since time.Duration) bool {
	return since >= o.first && (since-o.first)%(o.down+o.up) < o.down
}

// next is how often the fault was on until then, and whether it is.
func (o outage) next(since time.Duration) (times int, on bool) {
	if since < o.first {
		return 0, false
	}
	return 1 + int((since-o.first)/(o.down+o.up)), o.at(since)
}

// rollOut is how long before its fault a version is there.
const rollOut = 6 * time.Second

// version is what a service runs now. Each invoicing fault comes with a new version of the ERP,
// and the one after it mends it.
func (w *world) version(service string) string {
	if service != "erp" {
		return "1.8.2"
	}
	switch times, on := invoicing.next(time.Since(w.began) + rollOut); {
	case times == 0:
		return "4.11.3"
	case on:
		return fmt.Sprintf("4.%d.0", 11+times)
	default:
		return fmt.Sprintf("4.%d.1", 11+times)
	}
}

// invoicing is the fault that everybody waits for in a demo: within a minute of the start
// orders are stuck at their invoice, two minutes later all is well again, and so on.
var invoicing = outage{first: 25 * time.Second, down: 80 * time.Second, up: 100 * time.Second}
