package assets

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTakesPacked(t *testing.T) {
	f := func(accepts string, want bool) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", accepts)
		if got := TakesPacked(r); got != want {
			t.Errorf("%q: %v", accepts, got)
		}
	}
	f("", false)
	f("gzip, deflate, br", true)
	f("br;q=1.0, gzip;q=0.8, *;q=0.1", true)
	f("gzip;q=0", false)
	f("gzip; q=0.000", false)
	f("gzip; q=1", true)
	f("xgzip", false)
}

func TestAssetsArePacked(t *testing.T) {
	if err := Check(); err != nil {
		t.Skip(err)
	}
	get := func(accepts string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, URL(JS), nil)
		r.Header.Set("Accept-Encoding", accepts)
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, r)
		return w
	}
	plain, packed := get(""), get("gzip")
	if packed.Header().Get("Content-Encoding") != "gzip" || packed.Header().Get("Vary") == "" || packed.Header().Get("ETag") == plain.Header().Get("ETag") {
		t.Errorf("%v", packed.Header())
	}
	if packed.Body.Len() > plain.Body.Len()/2 {
		t.Errorf("%d of %d bytes", packed.Body.Len(), plain.Body.Len())
	}
	r, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(body, plain.Body.Bytes()) || plain.Header().Get("Content-Encoding") != "" {
		t.Errorf("%v, %d of %d bytes", err, len(body), plain.Body.Len())
	}
}
