package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"
	"go.uber.org/goleak"

	"throughline/flows"
)

// quiet is how long a test listens for a notification that must not come: longer than
// settle (or moveEvery) and some group intervals of the tests' configuration together.
const quiet = 2 * time.Second

// message is what the webhook of the tests reads of Alertmanager's payload.
type message struct {
	Status string `json:"status"`
	Alerts []struct {
		Status       string            `json:"status"`
		Labels       map[string]string `json:"labels"`
		Annotations  map[string]string `json:"annotations"`
		GeneratorURL string            `json:"generatorURL"`
	} `json:"alerts"`
}

// webhook is a receiver that answers 200.
func webhook(t *testing.T) (url string, got <-chan message) {
	t.Helper()
	messages := make(chan message, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Errorf("decode webhook: %v", err)
		}
		messages <- m
	}))
	t.Cleanup(server.Close)
	return server.URL, messages
}

func expect(t *testing.T, got <-chan message, status string) message {
	t.Helper()
	var m message
	select {
	case m = <-got:
	case <-time.After(20 * time.Second):
		t.Fatalf("no notification that it is %s", status)
	}
	if m.Status != status || len(m.Alerts) != 1 {
		t.Fatalf("got %+v, want one alert that is %s", m, status)
	}
	return m
}

func expectNone(t *testing.T, got <-chan message, why string) {
	t.Helper()
	select {
	case m := <-got:
		t.Fatalf("%s: a notification came: %+v", why, m)
	case <-time.After(quiet):
	}
}

func writeConfig(t *testing.T, file, url string) {
	t.Helper()
	text := fmt.Sprintf("route: {receiver: hook, group_interval: 200ms}\nreceivers:\n- name: hook\n  webhook_configs: [{url: %q, send_resolved: true}]\n", url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs a router until stop, which is also called at the end of the test.
func start(t *testing.T, file, dir string) (r *Router, stop func()) {
	t.Helper()
	r, err := New(Options{
		ConfigFile: file, Dir: dir, ExternalURL: "http://127.0.0.1:8080/",
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	t.Cleanup(stop)
	return r, stop
}

func invoices(count int, now time.Time) flows.Cohort {
	return flows.Cohort{
		Flow: "order-to-cash", Title: "Order to cash", Capability: "order-fulfilment", Owner: "order-platform",
		Runbook: "https://wiki.example.com/o2c", Step: "invoiced", StepTitle: "Invoice posted", System: "erp",
		Reason: flows.ReasonDeadline, Count: count, Since: flows.At(now.Add(-time.Hour)), Oldest: flows.At(now.Add(-3 * time.Hour)),
		AtRisk: flows.Money{"EUR": decimal.NewFromInt(int64(count)).Mul(decimal.NewFromInt(16))}, Keys: []string{"4711", "4712"},
	}
}

func TestOneCohortOnePage(t *testing.T) {
	t.Parallel()
	url, got := webhook(t)
	dir := t.TempDir()
	file, state := filepath.Join(dir, "alertmanager.yml"), filepath.Join(dir, "alerts")
	writeConfig(t, file, url)
	r, stop := start(t, file, state)
	now := time.Now()

	for _, count := range []int{1, 500, 1200, 1993} { // the burst arrives in pieces
		r.Set([]flows.Cohort{invoices(count, now)}, now)
	}
	fired := expect(t, got, "firing").Alerts[0]
	for _, want := range []string{"Order to cash: 1,993 stuck at Invoice posted (erp) since ", "oldest 3 h", "EUR 31,888.00 at risk"} {
		if !strings.Contains(fired.Annotations["summary"], want) {
			t.Errorf("summary %q does not say %q", fired.Annotations["summary"], want)
		}
	}
	for name, want := range map[string]string{
		"alertname": "FlowStuck", "flow": "order-to-cash", "capability": "order-fulfilment", "step": "invoiced",
		"system": "erp", "reason": "deadline", "owner": "order-platform", "severity": "critical",
	} {
		if fired.Labels[name] != want {
			t.Errorf("label %s is %q, want %q", name, fired.Labels[name], want)
		}
	}
	for name, want := range map[string]string{
		"count": "1993", "value_at_risk": "EUR 31888.00", "keys": "4711, 4712",
		"link": "http://127.0.0.1:8080/flows/order-to-cash/steps/invoiced", "runbook_url": "https://wiki.example.com/o2c",
	} {
		if fired.Annotations[name] != want {
			t.Errorf("annotation %s is %q, want %q", name, fired.Annotations[name], want)
		}
	}
	if fired.GeneratorURL != fired.Annotations["link"] {
		t.Errorf("generatorURL is %q", fired.GeneratorURL)
	}

	r.Set([]flows.Cohort{invoices(2500, now)}, now)
	expectNone(t, got, "the count moved")

	copied := crashCopy(t, state)
	stop()
	expectNone(t, got, "it stopped")

	r, stop = start(t, file, state)
	if list := r.Alerts(); len(list) != 1 || list[0].Count != 2500 || list[0].ResolvedAt != flows.NoTime {
		t.Errorf("right after a restart the incident is %+v", list)
	}
	r.Set([]flows.Cohort{invoices(2501, now)}, now)
	expectNone(t, got, "it restarted")
	r.Set(nil, time.Now())
	expect(t, got, "resolved")
	expectNone(t, got, "it was resolved already")
	if list := r.Alerts(); len(list) != 1 || list[0].ResolvedAt == flows.NoTime {
		t.Errorf("after the end the incident is %+v", list)
	}
	stop()

	// As if killed while it fired, and drained while nobody looked.
	r, stop = start(t, file, copied)
	r.Set(nil, time.Now())
	expect(t, got, "resolved")
	written(r)
	copied = crashCopy(t, copied)
	stop()
	_, stop = start(t, file, copied)
	expectNone(t, got, "what was told is told again after a kill")
	stop()
}

// written returns when what is being sent is sent, and is on disk: a kill in between
// repeats a notification, which is documented.
func written(r *Router) {
	r.mu.Lock()
	current := r.routing
	r.mu.Unlock()
	current.sending.inside.Wait()
	r.save()
}

// crashCopy is what a kill would leave of a router's folder.
func crashCopy(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestReload(t *testing.T) {
	t.Parallel()
	first, gotFirst := webhook(t)
	second, gotSecond := webhook(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	writeConfig(t, file, first)
	r, _ := start(t, file, dir)
	now := time.Now()
	one := invoices(3, now)
	r.Set([]flows.Cohort{one}, now)
	expect(t, gotFirst, "firing")

	for _, bad := range []string{
		"", "route: {receiver: nobody}", "route: {receiver: hook}\nreceivers: [{name: hook, webhook_configs: [{utl: x}]}]",
		"route: {receiver: hook}\nreceivers: [{name: hook}]\ntemplates: ['bad.tmpl']",
	} {
		if err := os.WriteFile(filepath.Join(dir, "bad.tmpl"), []byte(`{{ define "x" }}{{ nothing }}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.Reload(); err == nil || !strings.Contains(err.Error(), "alertmanager.yml") {
			t.Errorf("%q: got %v, want an error that names the file", bad, err)
		}
	}
	other := invoices(4, now)
	other.Step, other.StepTitle = "cash", "Cash settled"
	r.Set([]flows.Cohort{one, other}, now)
	if m := expect(t, gotFirst, "firing"); m.Alerts[0].Labels["step"] != "cash" {
		t.Errorf("got %+v", m)
	}

	writeConfig(t, file, second)
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	expectNone(t, gotSecond, "a reload is no news")
	r.Set([]flows.Cohort{other}, time.Now())
	if m := expect(t, gotSecond, "resolved"); m.Alerts[0].Labels["step"] != "invoiced" {
		t.Errorf("got %+v", m)
	}
	select {
	case m := <-gotFirst:
		t.Errorf("the old receiver got %+v", m)
	default:
	}
}

func TestPagesOnly(t *testing.T) {
	t.Parallel()
	r, _ := start(t, filepath.Join(t.TempDir(), "alertmanager.yml"), t.TempDir())
	before, next, stop := r.Subscribe()
	defer stop()
	if len(before) != 0 {
		t.Fatalf("got %+v", before)
	}
	now := time.Now()
	r.Set([]flows.Cohort{invoices(2, now)}, now)
	list := <-next
	if len(list) != 1 || list[0].Count != 2 || list[0].Silenced || list[0].StartsAt != flows.At(now.Add(-time.Hour)) {
		t.Fatalf("got %+v", list)
	}
	id := list[0].ID

	api := httptest.NewServer(r.Handler())
	defer api.Close()
	silence := fmt.Sprintf(`{"matchers":[{"name":"flow","value":"order-to-cash","isRegex":false}],"startsAt":%q,"endsAt":%q,"createdBy":"me","comment":"known"}`,
		now.Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339))
	answer, err := http.Post(api.URL+"/api/v2/silences", "application/json", strings.NewReader(silence))
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("post silence: %v %v", answer, err)
	}
	_ = answer.Body.Close()
	for list = range next {
		if list[0].Silenced {
			break
		}
	}
	r.Set([]flows.Cohort{invoices(7, now)}, now)
	for list = range next {
		if list[0].Count == 7 {
			break
		}
	}
	if list[0].ID != id || !list[0].Silenced {
		t.Errorf("got %+v, want the id %s still", list[0], id)
	}

	var shown []struct {
		Fingerprint string            `json:"fingerprint"`
		Labels      map[string]string `json:"labels"`
		Status      struct {
			State string `json:"state"`
		} `json:"status"`
	}
	deadline := time.After(10 * time.Second)
	for len(shown) != 1 || shown[0].Status.State != "suppressed" {
		get(t, api.URL+"/api/v2/alerts", &shown)
		select {
		case <-deadline:
			t.Fatalf("the API shows %+v", shown)
		case <-time.After(50 * time.Millisecond):
		}
	}
	if shown[0].Fingerprint != id || shown[0].Labels["step"] != "invoiced" {
		t.Errorf("the API shows %+v", shown[0])
	}
}

func get(t *testing.T, url string, into any) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
}

// TestCloseDoesNotHang stops a router while its receiver holds the connection.
func TestCloseDoesNotHang(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	defer server.Close()
	defer close(release)
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	writeConfig(t, file, server.URL)
	r, stop := start(t, file, dir)
	now := time.Now()
	r.Set([]flows.Cohort{invoices(1, now)}, now)
	<-asked
	stopping := time.Now()
	stop()
	if took := time.Since(stopping); took > stopGrace+5*time.Second {
		t.Errorf("took %s", took)
	}
}

// TestReceivers has one of each kind that people ask for first.
func TestReceivers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	text := `
global: {smtp_smarthost: 'mail.example.com:587', smtp_from: 'throughline@example.com', slack_api_url: 'https://hooks.slack.com/services/x'}
route:
  receiver: mail
  group_by: [flow]
  routes:
  - {receiver: pager, matchers: [severity="critical"], continue: true}
  - {receiver: chat, matchers: ['flow=~"order-.*"'], mute_time_intervals: [weekend]}
time_intervals: [{name: weekend, time_intervals: [{weekdays: [saturday, sunday]}]}]
inhibit_rules: [{source_matchers: [severity="critical"], target_matchers: [severity="warning"], equal: [flow]}]
receivers:
- {name: mail, email_configs: [{to: 'ops@example.com'}]}
- {name: pager, pagerduty_configs: [{routing_key: abc}]}
- {name: chat, slack_configs: [{channel: '#orders'}], msteamsv2_configs: [{webhook_url: 'https://example.com/teams'}]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, _ := start(t, file, t.TempDir())
	if err := r.Reload(); err != nil {
		t.Error(err)
	}
	api := httptest.NewServer(r.Handler())
	defer api.Close()
	var receivers []struct{ Name string }
	get(t, api.URL+"/api/v2/receivers", &receivers)
	if len(receivers) != 3 {
		t.Errorf("got %+v", receivers)
	}
}

// TestCloseLeavesNothing starts and stops routers that fire, reload and are drained.
func TestCloseLeavesNothing(t *testing.T) {
	noLeaks := goleak.IgnoreCurrent()
	file := filepath.Join(t.TempDir(), "none.yml")
	for range 20 {
		r, stop := start(t, file, t.TempDir())
		now := time.Now()
		_, next, done := r.Subscribe()
		r.Set([]flows.Cohort{invoices(1, now)}, now)
		<-next
		if err := r.Reload(); err != nil {
			t.Fatal(err)
		}
		r.Set(nil, now)
		<-next
		done()
		stop()
	}
	goleak.VerifyNone(t, noLeaks)
}

func TestUnreadableState(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{logFile, silencesFile, incidentsFile} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte("\xff\xff garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	registry := prometheus.NewRegistry()
	r, err := New(Options{ConfigFile: filepath.Join(dir, "none.yml"), Dir: dir, Log: slog.New(slog.DiscardHandler), Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, file := range []string{logFile, silencesFile, incidentsFile} {
		if _, err := os.Stat(filepath.Join(dir, file+".unreadable")); err != nil {
			t.Error(err)
		}
	}
}
