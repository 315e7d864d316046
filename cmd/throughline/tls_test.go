package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"google.golang.org/grpc/credentials"
)

// authority signs the certificates of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	var pair tls.Certificate
	pair, a.key = a.issue(true)
	a.cert = pair.Leaf
	return a
}

// issue makes a certificate for this machine, of a server and a client alike.
func (a *authority) issue(ca bool) (tls.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "test " + serial.String()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: ca,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	parent, signer := template, key
	if !ca {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, key
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// write puts a certificate for a server, its key and the authority into dir.
func (a *authority) write(dir string) TLSConfig {
	a.t.Helper()
	pair, key := a.issue(false)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	files := TLSConfig{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")}
	for file, block := range map[string]*pem.Block{
		files.CertFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, files.KeyFile: {Type: "EC PRIVATE KEY", Bytes: der},
		files.ClientCAFile: {Type: "CERTIFICATE", Bytes: a.cert.Raw},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return files
}

// exporters are the SDK's, over gRPC and over HTTP.
func exporters(t *testing.T, h *house, config *tls.Config) map[string]*otlptrace.Exporter {
	t.Helper()
	overGRPC, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(h.addr.OTLPGRPC), otlptracegrpc.WithTimeout(20*time.Second),
		otlptracegrpc.WithTLSCredentials(credentials.NewTLS(config)), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	overHTTP, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpoint(h.addr.OTLPHTTP),
		otlptracehttp.WithTLSClientConfig(config), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = overGRPC.Shutdown(context.Background()), overHTTP.Shutdown(context.Background()) })
	return map[string]*otlptrace.Exporter{"gRPC": overGRPC, "HTTP": overHTTP}
}

// postEvent sends one event over a connection of its own.
func postEvent(t *testing.T, h *house, config *tls.Config, id string) error {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), "POST", "https://"+h.addr.HTTP+"/api/v1/events", bytes.NewReader(orderEvent(id, "shop")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/cloudevents+json")
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 || response.Proto != "HTTP/2.0" {
		t.Errorf("event: %s %s", response.Proto, response.Status)
	}
	return nil
}

// TestTLS: all three ports speak TLS from 1.2 on, want a certificate of the authority, and
// take changed files without a restart.
func TestTLS(t *testing.T) {
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	first := newAuthority(t)
	files := first.write(dir)
	h := startIn(t, dir, map[string]string{
		"THROUGHLINE_TLS_CERT_FILE": files.CertFile, "THROUGHLINE_TLS_KEY_FILE": files.KeyFile, "THROUGHLINE_TLS_CLIENT_CA_FILE": files.ClientCAFile,
	})
	trusted := func(a *authority) *tls.Config {
		pair, _ := a.issue(false)
		return &tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{pair}}
	}
	if err := postEvent(t, h, trusted(first), "1"); err != nil {
		t.Errorf("event: %v", err)
	}
	for name, exporter := range exporters(t, h, trusted(first)) {
		if err := exportSpans(t, "shop", 2, exporter); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	second := newAuthority(t)
	strange, _ := second.issue(false)
	old := trusted(first)
	old.MaxVersion = tls.VersionTLS11
	for name, config := range map[string]*tls.Config{
		"no certificate":              {RootCAs: first.pool()},
		"a certificate of another CA": {RootCAs: first.pool(), Certificates: []tls.Certificate{strange}},
		"TLS 1.1":                     old,
	} {
		if err := postEvent(t, h, config, "2"); err == nil {
			t.Errorf("%s: an event was taken", name)
		}
		for way, exporter := range exporters(t, h, config) {
			if err := exportSpans(t, "shop", 1, exporter); err == nil {
				t.Errorf("%s: spans were taken over %s", name, way)
			}
		}
	}
	// A broken file changes nothing.
	if err := os.WriteFile(files.KeyFile, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.eventually("a second has gone by", 5*time.Second, func() bool {
		info, err := os.Stat(files.KeyFile)
		return err == nil && time.Since(info.ModTime()) > 1100*time.Millisecond
	})
	if err := postEvent(t, h, trusted(first), "3"); err != nil {
		t.Errorf("with a broken key on disk: %v", err)
	}
	second.write(dir)
	h.eventually("the new certificate is in force", 10*time.Second, func() bool { return postEvent(t, h, trusted(second), "4") == nil })
	if err := postEvent(t, h, trusted(first), "5"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("the old authority: %v", err)
	}
	for name, exporter := range exporters(t, h, trusted(second)) {
		if err := exportSpans(t, "shop", 2, exporter); err != nil {
			t.Errorf("%s with the new certificate: %v", name, err)
		}
	}
}
