package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func noEnv(string) string { return "" }

func writeConfig(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "throughline.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoadDefaults(t *testing.T) {
	t.Chdir(t.TempDir())
	got, err := Load("", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaultConfig(), got); diff != "" {
		t.Error(diff)
	}
	if got.HTTPAddr != "127.0.0.1:8080" || got.Retention.Instances != 400*24*time.Hour {
		t.Errorf("defaults are not the documented ones: %+v", got)
	}
	if _, err := Load("absent.yaml", noEnv); err == nil {
		t.Error("a file that was asked for and is not there must be a fault")
	}
}

func TestLoadFile(t *testing.T) {
	file := writeConfig(t, `
http_addr: localhost:0
clickhouse: {mode: external, addr: [ch1:9000, ch2:9000], database: d, username: u, password_file: f, tls: true, cluster: prod}
nats: {mode: external, url: "tls://n1:4222,tls://n2:4222", credentials_file: c, replicas: 3, sync: always}
config_dir:   /etc/throughline
auth: {mode: local}
tls: {cert_file: c.pem, key_file: k.pem, client_ca_file: ca.pem}
retention: {spans: 36h, signals: 7d}
`)
	got, err := Load(file, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.HTTPAddr = "localhost:0"
	want.ConfigDir = "/etc/throughline"
	want.ClickHouse = ClickHouseConfig{
		Mode: "external", Addr: []string{"ch1:9000", "ch2:9000"}, Protocol: "native", Database: "d",
		Username: "u", PasswordFile: "f", TLS: true, Cluster: "prod",
	}
	want.NATS = NATSConfig{Mode: "external", URL: "tls://n1:4222,tls://n2:4222", CredentialsFile: "c", Replicas: 3, Sync: "always"}
	want.Auth.Mode, want.TLS = "local", TLSConfig{CertFile: "c.pem", KeyFile: "k.pem", ClientCAFile: "ca.pem"}
	want.Retention.Spans, want.Retention.Signals = 36*time.Hour, 7*24*time.Hour
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadPrecedence(t *testing.T) {
	file := writeConfig(t, "http_addr: 127.0.0.1:1\notlp_grpc_addr: 127.0.0.1:2\ndata_dir: from-file\n")
	env := map[string]string{
		"THROUGHLINE_HTTP_ADDR": "127.0.0.1:10", "THROUGHLINE_DATA_DIR": "from-env",
		"THROUGHLINE_CLICKHOUSE_MODE": "external", "THROUGHLINE_CLICKHOUSE_ADDR": "a:1,b:2",
	}
	getenv := withFlags(func(k string) string { return env[k] }, map[string]string{"data_dir": "from-flag", "http_addr": ""})
	got, err := Load(file, getenv)
	if err != nil {
		t.Fatal(err)
	}
	if got.DataDir != "from-flag" || got.HTTPAddr != "127.0.0.1:10" || got.OTLPGRPCAddr != "127.0.0.1:2" {
		t.Errorf("flag, environment, file, default in this order; got %+v", got)
	}
	if diff := cmp.Diff([]string{"a:1", "b:2"}, got.ClickHouse.Addr); diff != "" {
		t.Error(diff)
	}
}

func TestLoadFaults(t *testing.T) {
	f := func(content string, want ...string) {
		t.Helper()
		_, err := Load(writeConfig(t, content), noEnv)
		if err == nil {
			t.Errorf("%q was taken", content)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %q does not say %q", content, err, w)
			}
		}
	}
	f("http_addr: 0.0.0.0:8080", "http_addr", "auth.mode is none", "127.0.0.1:8080")
	f("otlp_grpc_addr: ':4317'", "otlp_grpc_addr", "loopback")
	f("otlp_http_addr: '[::]:4318'", "loopback")
	f("http_addr: 192.168.1.5:80", "loopback")
	f("http_addr: example.com:80", "loopback")
	f("http_addr: 127.0.0.1", "host:port")
	f("http_addr: 127.0.0.1:99999", "65535")
	f("data_dir: x\nhttp_adr: 127.0.0.1:1", "throughline.yaml:2:1: http_adr is not a key", "http_addr")
	f("clickhouse: {mode: embedded, adr: [x]}", ":1:30: clickhouse.adr is not a key", "allowed here: mode, addr")
	f("clickhouse: {mode: remote}", ":1:20: clickhouse.mode", `"remote" is not known; allowed: embedded, external`)
	f("clickhouse: {mode: external}", "clickhouse.addr")
	f("clickhouse: {addr: [a:1]}", "mode: external")
	f("clickhouse: {mode: external, addr: [a]}", `"a" is not host:port`)
	f("clickhouse: nowhere", ":1:13: clickhouse holds keys: mode")
	f("nats: {mode: external}", "nats.url")
	f("nats: {replicas: 3}", "nats.replicas")
	f("nats: {replicas: many}", "whole number")
	f("nats: {sync: sometimes}", "interval, always")
	f("auth: {mode: oidc}", "allowed: none, local")
	f("tls: {cert_file: c}", "go together")
	f("tls: {key_file: c}", "go together")
	f("tls: {client_ca_file: c}", "needs cert_file")
	f("tls: {min: 1.3}", "allowed here: cert_file, key_file, client_ca_file")
	f("retention: {spans: soon}", "duration")
	f("retention: {spans: 5s}", "too short")
	f("data_dir: [a]", "one plain value")
	f("data_dir: a\ndata_dir: b", "data_dir")
	f("kafka: []", "kafka is not a key")
	f("- a", "the file holds keys")
	f(": : :", "throughline.yaml")
	f("data_dir:", "one plain value")
	f("http_addr: 1.2.3.4:1\nnope: 1\nnats: {sync: x}", "nope", "nats.sync") // every fault at once
}

func TestLoadLoopback(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "127.8.8.8:80", "'[::1]:80'", "localhost:8080"} {
		if _, err := Load(writeConfig(t, "http_addr: "+addr), noEnv); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// TestLoadWithTokens: who asks everybody for a token may listen on every address.
func TestLoadWithTokens(t *testing.T) {
	if _, err := Load(writeConfig(t, "http_addr: 0.0.0.0:8080\notlp_grpc_addr: ':4317'\nauth: {mode: local}"), noEnv); err != nil {
		t.Error(err)
	}
}

// TestCheckConfig: check reads the configuration too, and the certificates that it names.
func TestCheckConfig(t *testing.T) {
	for content, want := range map[string]string{
		"http_adr: x": "throughline.yaml:1:1: http_adr is not a key",
		"tls: {cert_file: absent.pem, key_file: absent.pem}": "tls.cert_file, tls.key_file: open absent.pem",
	} {
		file := writeConfig(t, content)
		t.Chdir(filepath.Dir(file))
		if err := os.MkdirAll("config/flows", 0o755); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"check"}, {"check", file}} {
			if code, stdout, _ := command(t, nil, args...); code != exitInput || !strings.Contains(stdout, want) {
				t.Errorf("%v of %q: %d %q", args, content, code, stdout)
			}
		}
		if err := os.WriteFile(file, []byte("http_addr: 127.0.0.1:0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, stdout, stderr := command(t, nil, "check"); code != exitDone {
			t.Errorf("a good one: %d %q %q", code, stdout, stderr)
		}
	}
}

func TestLoadEnvFault(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := Load("", func(name string) string {
		if name == "THROUGHLINE_NATS_REPLICAS" {
			return "x"
		}
		return ""
	})
	if err == nil || !strings.Contains(err.Error(), "THROUGHLINE_NATS_REPLICAS") {
		t.Errorf("got %v", err)
	}
}

func TestConfigLogKeepsSecrets(t *testing.T) {
	c := defaultConfig()
	c.NATS = NATSConfig{Mode: modeExternal, URL: "nats://me:hunter2@n1:4222,nats://tok3n@n2:4222", Replicas: 1}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("configuration", "config", c)
	if s := out.String(); strings.Contains(s, "hunter2") || strings.Contains(s, "tok3n") || !strings.Contains(s, "n2:4222") {
		t.Error(s)
	}
	c.NATS.URL = "nats://me:hunter2@"
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestClickHousePassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := ClickHouseConfig{PasswordFile: file}
	if got, err := c.Password(); err != nil || got != "s3cret " {
		t.Errorf("got %q, %v", got, err)
	}
	c.PasswordFile += "-absent"
	if _, err := c.Password(); err == nil {
		t.Error("a password file that is not there must be a fault")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("http_addr: 127.0.0.1:0\nclickhouse: {mode: external, addr: [a:1]}"))
	f.Add([]byte("retention: &a {spans: *a}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := defaultConfig()
		faults := fromYAML("f", data, c.settings())
		if len(faults) == 0 && c.NATS.Replicas == 0 {
			t.Error("an invalid value went through")
		}
	})
}
