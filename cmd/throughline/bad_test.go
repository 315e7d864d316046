package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// zeros is a body without an end in memory.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

// bomb is size bytes, zipped.
func bomb(t *testing.T, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	if _, err := io.Copy(zip, &zeros{size}); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// badBody is a body that must be refused as a whole.
type badBody struct {
	name   string
	body   func() io.Reader
	length int64 // -1 for one that is not told
	header map[string]string
	status int
}

// post sends a body to a path of an address. A server that refuses a body while it is sent
// may close the connection before the sender sees the answer; then it is sent again.
func post(t *testing.T, url string, b badBody) (status int, answer []byte) {
	t.Helper()
	for try := 0; ; try++ {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, b.body())
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = b.length
		for name, value := range b.header {
			r.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			if try < 5 {
				continue
			}
			t.Errorf("%s: %v", b.name, err)
			return 0, nil
		}
		answer, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
		return response.StatusCode, answer
	}
}

// TestBadBodies sends what must not be read to its end, from many senders at once.
func TestBadBodies(t *testing.T) {
	p := runProgram(t, dataFolder(t, map[string]string{"orders": ordersFlow}), nil)
	orders(&p.house, 0, 1)
	const size = 200 << 20
	zipped := bomb(t, size)
	bytesOf := func(b []byte) func() io.Reader { return func() io.Reader { return bytes.NewReader(b) } }
	huge := func() io.Reader { return &zeros{size} }
	var senders sync.WaitGroup
	for path, contentType := range map[string]string{
		p.addr.HTTP + "/api/v1/events": "application/cloudevents+json", p.addr.OTLPHTTP + "/v1/traces": "application/x-protobuf",
		p.addr.OTLPHTTP + "/v1/logs": "application/json",
	} {
		plain := map[string]string{"Content-Type": contentType}
		packed := map[string]string{"Content-Type": contentType, "Content-Encoding": "gzip"}
		for _, b := range []badBody{
			{"200 MB", huge, size, plain, http.StatusRequestEntityTooLarge},
			{"200 MB, length not told", huge, -1, plain, http.StatusRequestEntityTooLarge},
			{"200 MB, zipped", bytesOf(zipped), int64(len(zipped)), packed, http.StatusRequestEntityTooLarge},
			{"not gzip", bytesOf([]byte("{}")), 2, packed, http.StatusBadRequest},
			{"noise", bytesOf(bytes.Repeat([]byte{0xff, 0x00, '{'}, 1000)), 3000, plain, http.StatusBadRequest},
		} {
			for range 4 / slow {
				senders.Go(func() {
					status, answer := post(t, "http://"+path, b)
					if status != b.status && status != http.StatusTooManyRequests {
						t.Errorf("%s to %s: %d %.300s, want %d", b.name, path, status, answer, b.status)
					}
				})
			}
		}
	}
	senders.Wait()
	if !p.alive() {
		t.Fatal("the process has ended")
	}
	// 256 MB of bodies at once, twice while their buffers grow, twice until they are collected;
	// 60 senders send up to 200 MB each.
	if most := residentBytes(t, p.cmd.Process.Pid); most > slow*1200<<20 {
		t.Errorf("it held up to %d MB", most>>20)
	} else {
		t.Logf("it held up to %d MB", most>>20)
	}
	orders(&p.house, 1, 2)
	p.eventually("it still counts", 10*time.Second, func() bool { return p.health("orders", "window=1h").InFlight == 2 })
}

// TestBadEvents sends batches in which one event is bad: it is named, the rest is kept.
func TestBadEvents(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{"orders": ordersFlow})
	event := func(id, more string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/test","type":"order.placed"%s}`, id, more)
	}
	fields := make([]string, 100_000)
	for i := range fields {
		fields[i] = fmt.Sprintf(`"f%d":1`, i)
	}
	sent := 0
	for name, c := range map[string]struct{ more, says string }{
		"key of 1 MB":        {`,"data":{"order_id":"` + strings.Repeat("k", 1<<20) + `"}`, "order_id"},
		"id of 1 MB":         {`,"subject":"` + strings.Repeat("k", 1<<20) + `"`, "subject"},
		"100,000 attributes": {`,"data":{` + strings.Join(fields, ",") + `}`, "1024"},
		"NUL":                {`,"data":{"order_id":"a\u0000b"}`, "NUL"},
		"invalid UTF-8":      {",\"data\":{\"order_id\":\"a\xffb\"}", "UTF-8"},
		"before 1900":        {`,"time":"1899-12-31T23:59:59Z"`, "1900"},
		"after 2262":         {`,"time":"2263-01-01T00:00:00Z"`, "2262"},
		"no time":            {`,"time":"soon"`, "RFC 3339"},
		"nested deeply":      {`,"data":{"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`, "nested"},
	} {
		sent++
		good := event(fmt.Sprintf("good-%d", sent), fmt.Sprintf(`,"data":{"order_id":"G%d"}`, sent))
		bad := event(fmt.Sprintf("bad-%d", sent), c.more)
		status, body := h.call(http.MethodPost, "/api/v1/events", "application/cloudevents-batch+json", []byte("["+bad+","+good+"]"))
		var a struct {
			Accepted int
			Rejected []struct {
				Index int
				Error string
			}
		}
		if err := json.Unmarshal(body, &a); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d %.300s", name, status, body)
			continue
		}
		if a.Accepted != 1 || len(a.Rejected) != 1 || a.Rejected[0].Index != 0 || !strings.Contains(a.Rejected[0].Error, c.says) || len(body) > 1000 {
			t.Errorf("%s: %.1000s", name, body)
		}
		status, body = h.call(http.MethodPost, "/api/v1/events", "application/cloudevents+json", []byte(bad))
		if status != http.StatusBadRequest || !strings.Contains(string(body), c.says) {
			t.Errorf("%s alone: %d %.300s", name, status, body)
		}
	}
	h.eventually("the good ones are counted", 10*time.Second, func() bool { return h.health("orders", "window=all").InFlight == sent })
}

// TestBadSpans sends requests in which one span is bad.
func TestBadSpans(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{"checkout": checkoutFlow})
	now := time.Now().UnixNano()
	span := func(n int, times, attributes string) string {
		return fmt.Sprintf(`{"traceId":"%032x","spanId":"%016x","name":"POST /orders","kind":2,%s,"attributes":[%s]}`, n, n, times, attributes)
	}
	usual := fmt.Sprintf(`"startTimeUnixNano":"%d","endTimeUnixNano":"%d"`, now, now+1)
	attribute := func(key, value string) string {
		return fmt.Sprintf(`{"key":%q,"value":{"stringValue":"%s"}}`, key, value)
	}
	many := make([]string, 100_000)
	for i := range many {
		many[i] = attribute(fmt.Sprint("a", i), "v")
	}
	n := 0
	for name, c := range map[string]struct{ times, attributes, says string }{
		"key of 1 MB":        {usual, attribute("order_id", strings.Repeat("k", 1<<20)), "order_id"},
		"100,000 attributes": {usual, strings.Join(many, ","), "1024"},
		"NUL":                {usual, attribute("order_id", `a\u0000`), "NUL"},
		"after 2262":         {`"startTimeUnixNano":"18446744073709551615"`, attribute("order_id", "x"), "2262"},
		"invalid UTF-8":      {usual, attribute("note", "\xff"), "UTF-8"},
	} {
		n++
		good, bad := span(2*n, usual, attribute("order_id", fmt.Sprint("S", n))), span(2*n+1, c.times, c.attributes)
		body := `{"resourceSpans":[{"resource":{"attributes":[` + attribute("service.name", "webshop") + `]},"scopeSpans":[{"spans":[` + bad + "," + good + `]}]}]}`
		status, answer := post(t, "http://"+h.addr.OTLPHTTP+"/v1/traces", badBody{
			name: name, body: func() io.Reader { return strings.NewReader(body) }, length: int64(len(body)),
			header: map[string]string{"Content-Type": "application/json"},
		})
		if status != http.StatusOK || !strings.Contains(string(answer), c.says) || !strings.Contains(string(answer), `"rejectedSpans":"1"`) {
			t.Errorf("%s: %d %.500s", name, status, answer)
		}
	}
	h.eventually("the good ones are counted", 10*time.Second, func() bool { return h.health("checkout", "window=all").InFlight == n })
}
