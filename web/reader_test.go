package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAsReader(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	if by, fault := nameOf(AsReader(r, "Änne; B"), ""); fault != nil || by != "Änne; B" {
		t.Errorf("signed %q, %v", by, fault)
	}
	if by, _ := nameOf(r, ""); by != someone {
		t.Errorf("the request itself is signed %q", by)
	}
	if by, _ := nameOf(AsReader(AsReader(r, "own"), "token"), ""); by != "own" {
		t.Errorf("signed %q over the name that the browser keeps", by)
	}
}
