package assets

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestHandler(t *testing.T) {
	if err := Check(); err != nil {
		if !strings.Contains(err.Error(), "go generate ./web/assets") {
			t.Errorf("the error does not say what to run: %v", err)
		}
		if res := get(t, URL(CSS)); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("an asset that was not built: %s", res.Status)
		}
		t.Skip(err)
	}
	for name, contentType := range map[string]string{CSS: "text/css", JS: "javascript", Icon: "image/svg+xml"} {
		url := URL(name)
		if url == Prefix+name {
			t.Errorf("%s: the URL has no hash", name)
		}
		res := get(t, url)
		if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Content-Type"), contentType) {
			t.Errorf("%s: %s, %s", name, res.Status, res.Header.Get("Content-Type"))
		}
		if !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s is not kept for good", name)
		}
		if res := get(t, url, "If-None-Match", res.Header.Get("ETag")); res.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %s", name, res.Status)
		}
		old := strings.Replace(url, ".", ".OLD", 1)
		if res := get(t, old); res.StatusCode != http.StatusOK || strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s by an old URL: %s, %s", name, res.Status, res.Header.Get("Cache-Control"))
		}
	}
	if res := get(t, Prefix+"nothing.js"); res.StatusCode != http.StatusNotFound {
		t.Errorf("what there is not: %s", res.Status)
	}
}
