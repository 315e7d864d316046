package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"go.uber.org/goleak"

	"throughline/flows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the instant that the fakes speak of.
var noon = flows.At(time.Date(2026, 11, 19, 12, 0, 0, 0, time.UTC))

// fakeHistory answers with what its fields hold and remembers what it was asked.
type fakeHistory struct {
	err      error
	health   flows.Health
	page     flows.InstancePage
	detail   flows.InstanceDetail
	tries    []flows.Tries
	failures map[string]string
	releases []flows.Release
	texts    []flows.FlowText
	variants flows.Variants
	follows  flows.DirectlyFollows
	signals  []flows.Signal
	found    flows.Found
	seen     []flows.SeenSignal
	traffic  []flows.SystemTraffic

	usualSince flows.Time // 0 for very long
	usualAsked atomic.Int32
	usualWaits chan struct{} // what is usual is known once it is closed; nil is at once

	waits atomic.Pointer[chan struct{}] // answers come once it is closed; nil is at once

	window  flows.Window
	segment string
	query   flows.InstanceQuery
}

// gate is closed once answers come.
func (h *fakeHistory) gate() <-chan struct{} {
	if gate := h.waits.Load(); gate != nil {
		return *gate
	}
	open := make(chan struct{})
	close(open)
	return open
}

func (h *fakeHistory) Health(_ context.Context, f *flows.Flow, w flows.Window, segment string) (flows.Health, error) {
	h.window, h.segment = w, segment
	<-h.gate()
	out := h.health
	out.Flow, out.AsOf = f.Name, w.To
	return out, h.err
}

func (h *fakeHistory) Instances(_ context.Context, _ *flows.Flow, q flows.InstanceQuery) (flows.InstancePage, error) {
	<-h.gate()
	h.query = q
	return h.page, h.err
}

func (h *fakeHistory) Instance(_ context.Context, _ *flows.Flow, key string, _ flows.Time) (flows.InstanceDetail, error) {
	<-h.gate()
	if h.err == nil && key != h.detail.Key {
		return flows.InstanceDetail{}, flows.ErrNotFound
	}
	return h.detail, h.err
}

func (h *fakeHistory) Variants(context.Context, *flows.Flow, flows.Time, flows.Time, int) (flows.Variants, error) {
	<-h.gate()
	return h.variants, h.err
}

func (h *fakeHistory) DirectlyFollows(context.Context, *flows.Flow, flows.Time, flows.Time) (flows.DirectlyFollows, error) {
	return h.follows, h.err
}

func (h *fakeHistory) Timeline(context.Context, []*flows.Flow, flows.Key, int, string) ([]flows.Signal, string, error) {
	<-h.gate()
	return h.signals, "", h.err
}

func (h *fakeHistory) Search(context.Context, []*flows.Flow, string, int) (flows.Found, error) {
	<-h.gate()
	return h.found, h.err
}

func (h *fakeHistory) SignalNames(context.Context, flows.Time, int) ([]flows.SeenSignal, error) {
	return h.seen, h.err
}

func (h *fakeHistory) Tries(context.Context, flows.Match, flows.Time, flows.Time) ([]flows.Tries, error) {
	return h.tries, h.err
}

func (h *fakeHistory) Releases(context.Context) ([]flows.Release, error) {
	return h.releases, h.err
}

func (h *fakeHistory) Shared(context.Context, *flows.Flow, string, flows.Time) ([]flows.SharedValue, error) {
	return nil, h.err
}

func (h *fakeHistory) Failures(context.Context, []string) (map[string]string, error) {
	return h.failures, h.err
}

func (h *fakeHistory) FlowTexts(context.Context, string, int) ([]flows.FlowText, error) {
	<-h.gate()
	return h.texts, h.err
}

func (h *fakeHistory) Systems(context.Context, []string, flows.Time, flows.Time) ([]flows.SystemTraffic, error) {
	<-h.gate()
	return h.traffic, h.err
}

func (h *fakeHistory) Series(_ context.Context, _ *flows.Flow, from, to flows.Time, bucket time.Duration) (flows.Series, error) {
	<-h.gate()
	return flows.Series{From: from, Bucket: bucket, Started: []int{3, 4}, Ended: map[flows.State][]int{flows.Completed: {1, 2}}, Left: []flows.LeftAt{{State: flows.Cancelled, Step: "cash", Count: 1}}}, h.err
}

func (h *fakeHistory) Usual(_ context.Context, _ *flows.Flow, hours flows.UsualHours) (flows.Usual, error) {
	h.usualAsked.Add(1)
	<-h.gate()
	if h.usualWaits != nil {
		<-h.usualWaits
	}
	u := hours.Usual(h.usualSince, hours.Hour.Add(10*time.Minute))
	for i := range u.Hours {
		u.Hours[i].Started = 60 * (i + 1)
	}
	return u, nil
}

func (h *fakeHistory) SystemNames(context.Context, string, flows.Time, int) ([]flows.SeenSignal, error) {
	return h.seen, h.err
}

// fakeRules are flow files in force.
type fakeRules struct {
	mu     sync.Mutex // guards set
	set    *flows.Set
	faults []flows.Fault
	system *flows.System
}

func (r *fakeRules) System(name string) *flows.System {
	if r.system != nil && r.system.Name == name {
		return r.system
	}
	return nil
}

func (r *fakeRules) put(set *flows.Set) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set = set
}

func (r *fakeRules) Set() *flows.Set {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set
}
func (r *fakeRules) Faults() []flows.Fault     { return r.faults }
func (r *fakeRules) Source(flow string) string { return "flow: " + flow + "\n" }

func (r *fakeRules) File(flow string) string { return "flows/" + flow + ".yaml" }
func (r *fakeRules) Draft(flow string) (file, text string) {
	if flow == "broken" {
		return "flows/broken.yaml", "flow: broken\nstepz: []\n"
	}
	return "", ""
}

func (r *fakeRules) Check(file string, text []byte) []flows.Fault {
	_, faults := flows.Parse(file, text)
	return faults
}

func setOf(t testing.TB, all ...*flows.Flow) *flows.Set {
	t.Helper()
	set, err := flows.NewSet(all)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func orderFlow() *flows.Flow {
	return &flows.Flow{
		Name: "order-to-cash", Title: "Order to cash", Capability: "order-fulfilment", Owner: "order-platform", Version: "v1",
		Key: "order_id", Links: []string{"invoice_id"}, Amount: "order.total", Currency: "order.currency", Segments: []string{"region"},
		Steps: []flows.Step{
			{ID: "placed", Title: "Order placed", System: "webshop", Match: flows.Match{Name: "order.placed"}, Start: true},
			{ID: "paid", Title: "Payment taken", System: "payments", Match: flows.Match{Name: "payment.taken"}, After: []int{0}, Within: 15 * time.Minute},
			{ID: "cash", Title: "Cash in", System: "erp", Match: flows.Match{Name: "payment.settled"}, After: []int{1}, End: flows.Completed},
		},
	}
}

func orderHealth(inFlight, stuck int) flows.Health {
	seconds := new(3600.0)
	return flows.Health{
		Flow: "order-to-cash", Version: "v1", Health: flows.HealthOK, AsOf: noon, WindowSeconds: seconds, Started: inFlight,
		InFlight: inFlight, Stuck: stuck, ValueInFlight: flows.Money{"EUR": decimal.RequireFromString("120.5")}, ValueAtRisk: flows.Money{},
		Steps: []flows.StepHealth{{Step: "placed", Reached: inFlight}, {Step: "paid", Waiting: inFlight, Overdue: stuck, Stuck: stuck}, {Step: "cash"}},
		Edges: []flows.EdgeHealth{{From: "placed", To: "paid", Count: 3}},
	}
}

func stuckRecord() flows.InstanceRecord {
	due := noon.Add(-time.Hour)
	return flows.InstanceRecord{
		Flow: "order-to-cash", Version: "v1", Key: "SO-1", State: flows.Stuck, Reason: flows.ReasonDeadline, ReasonStep: "paid", System: "payments",
		StuckSince: due.Add(15 * time.Minute), StuckFor: 45 * time.Minute, StartedAt: due, LastAt: due, EndedAt: flows.NoTime,
		HeldSince: flows.NoTime, HeldUntil: flows.NoTime,
		WaitingOn: []flows.WaitingRecord{{Step: "paid", System: "payments", DueAt: due, Deadline: due.Add(15 * time.Minute), Expected: 1}},
		Path:      []string{"placed"}, Amount: flows.NewAmount(decimal.RequireFromString("400.4")), Currency: "EUR",
		Segments: map[string]string{"region": "EU"}, AsOf: noon,
	}
}

func stuckDetail() flows.InstanceDetail {
	r := stuckRecord()
	return flows.InstanceDetail{
		InstanceRecord: r,
		Steps: []flows.StepRecord{
			{Step: "placed", Title: "Order placed", System: "webshop", At: r.StartedAt, DueAt: flows.NoTime, Deadline: flows.NoTime, Count: 1, Expected: 1, Seen: 1},
			{Step: "paid", Title: "Payment taken", System: "payments", At: flows.NoTime, DueAt: r.StartedAt, Deadline: r.StuckSince, Errors: 1, Expected: 1},
			{Step: "cash", Title: "Cash in", System: "erp", At: flows.NoTime, DueAt: flows.NoTime, Deadline: flows.NoTime, Expected: 1},
		},
		Signals: []flows.Signal{
			{
				Kind: flows.Event, Source: "shop", ID: "1", Name: "order.placed", System: "webshop", Time: r.StartedAt, Received: r.StartedAt,
				Data: map[string]any{"order_id": "SO-1", "order": map[string]any{"total": int64(400)}}, Keys: []flows.Key{{Type: "order_id", Value: "SO-1"}},
			},
			{
				Kind: flows.Span, Source: "payments", ID: "aa:bb", Name: "POST /capture", System: "payments", Time: r.StartedAt.Add(time.Second),
				Duration: 1500 * time.Millisecond, Failed: true, TraceID: "aa", SpanID: "bb", Received: r.StartedAt, Keys: []flows.Key{{Type: "order_id", Value: "SO-1"}},
			},
		},
	}
}

func stuckAlert() Alert {
	return Alert{
		ID: "a1", StartsAt: noon.Add(-time.Minute), ResolvedAt: flows.NoTime,
		Cohort: flows.Cohort{
			Flow: "order-to-cash", Title: "Order to cash", Step: "paid", StepTitle: "Payment taken", System: "payments", Reason: flows.ReasonDeadline,
			Count: 214, Since: noon.Add(-30 * time.Minute), Oldest: noon.Add(-time.Hour), AtRisk: flows.Money{"EUR": decimal.NewFromInt(31880)}, Keys: []string{"SO-1"},
		},
	}
}

// house is a Server over fakes.
type house struct {
	*Server
	history *fakeHistory
	rules   *fakeRules
}

func newHouse(t testing.TB, change func(*Options)) *house {
	t.Helper()
	h := &house{history: &fakeHistory{}, rules: &fakeRules{set: setOf(t, orderFlow())}}
	o := Options{
		History: h.history, Rules: h.rules, Hub: NewHub(), Log: slog.New(slog.DiscardHandler), Host: "127.0.0.1:0",
		Intake: func() Intake { return Intake{Accepted: 7, Last: noon} },
	}
	if change != nil {
		change(&o)
	}
	server, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.Server = server
	return h
}

func (h *house) get(t *testing.T, target string) *httptest.ResponseRecorder {
	t.Helper()
	return h.do(httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
}

func (h *house) do(r *http.Request) *httptest.ResponseRecorder {
	if r.Host == "example.com" { // httptest's own
		r.Host = "localhost:8080"
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	return w
}

// answered waits for the end of all questions to history, for which pages do not wait: until
// others are asked, what it answers may be changed.
func (h *house) answered() *fakeHistory {
	h.past.wg.Wait()
	return h.history
}

func publish(t *testing.T, h *Hub, health flows.Health) {
	t.Helper()
	h.Show(Update{Health: health, Heard: flows.NoTime})
	if err := h.Announce(health.Flow); err != nil {
		t.Fatal(err)
	}
}
