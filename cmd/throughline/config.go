package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"throughline/flows"
)

// Config is throughline.yaml. Load makes it, valid.
type Config struct {
	HTTPAddr     string // UI, API, event ingest, websockets
	OTLPGRPCAddr string
	OTLPHTTPAddr string
	DataDir      string
	ClickHouse   ClickHouseConfig
	NATS         NATSConfig
	ConfigDir    string // flows/*.yaml, alertmanager.yml
	Auth         AuthConfig
	TLS          TLSConfig
	Retention    RetentionConfig
}

// The modes of ClickHouse and NATS.
const (
	modeEmbedded = "embedded"
	modeExternal = "external"
)

// ClickHouseConfig says where history is kept. All but Mode speak of mode external.
type ClickHouseConfig struct {
	Mode         string   // embedded, external
	Addr         []string // host:port
	Protocol     string   // native, http
	Database     string
	Username     string
	PasswordFile string // "" for none
	TLS          bool
	Cluster      string // "" for a single server
}

// NATSConfig says where the bus is. URL, CredentialsFile and Replicas speak of mode external.
type NATSConfig struct {
	Mode            string // embedded, external
	URL             string
	CredentialsFile string
	Replicas        int
	Sync            string // interval: an ack survives kill -9; always: power loss too
}

// The modes of auth.
const (
	authNone  = "none"
	authLocal = "local"
)

// AuthConfig says who may come in.
type AuthConfig struct {
	Mode string // none: anybody; local: tokens of this data folder
}

// RetentionConfig says how long each class of data is kept after its reception.
type RetentionConfig struct {
	Spans, Signals, Instances time.Duration
}

func defaultConfig() Config {
	const day = 24 * time.Hour
	return Config{
		HTTPAddr:     "127.0.0.1:8080",
		OTLPGRPCAddr: "127.0.0.1:4317",
		OTLPHTTPAddr: "127.0.0.1:4318",
		DataDir:      "./data",
		ClickHouse:   ClickHouseConfig{Mode: modeEmbedded, Protocol: "native", Database: "throughline", Username: "default"},
		NATS:         NATSConfig{Mode: modeEmbedded, Replicas: 1, Sync: "interval"},
		ConfigDir:    "./config",
		Auth:         AuthConfig{Mode: authNone},
		Retention:    RetentionConfig{Spans: 14 * day, Signals: 90 * day, Instances: 400 * day},
	}
}

// setting is one key of the file: where its value goes, and how it is read.
type setting struct {
	key string // dotted path
	// set takes the texts of the value, one unless list, and says what is wrong with it.
	set  func(texts []string) error
	list bool
}

// settings are all keys of throughline.yaml, in the order of its documentation.
func (c *Config) settings() []setting {
	return []setting{
		text("http_addr", &c.HTTPAddr),
		text("otlp_grpc_addr", &c.OTLPGRPCAddr),
		text("otlp_http_addr", &c.OTLPHTTPAddr),
		text("data_dir", &c.DataDir),
		word("clickhouse.mode", &c.ClickHouse.Mode, modeEmbedded, modeExternal),
		texts("clickhouse.addr", &c.ClickHouse.Addr),
		word("clickhouse.protocol", &c.ClickHouse.Protocol, "native", "http"),
		text("clickhouse.database", &c.ClickHouse.Database),
		text("clickhouse.username", &c.ClickHouse.Username),
		text("clickhouse.password_file", &c.ClickHouse.PasswordFile),
		truth("clickhouse.tls", &c.ClickHouse.TLS),
		text("clickhouse.cluster", &c.ClickHouse.Cluster),
		word("nats.mode", &c.NATS.Mode, modeEmbedded, modeExternal),
		text("nats.url", &c.NATS.URL),
		text("nats.credentials_file", &c.NATS.CredentialsFile),
		count("nats.replicas", &c.NATS.Replicas, 1, 5),
		word("nats.sync", &c.NATS.Sync, "interval", "always"),
		text("config_dir", &c.ConfigDir),
		word("auth.mode", &c.Auth.Mode, authNone, authLocal),
		text("tls.cert_file", &c.TLS.CertFile),
		text("tls.key_file", &c.TLS.KeyFile),
		text("tls.client_ca_file", &c.TLS.ClientCAFile),
		span("retention.spans", &c.Retention.Spans),
		span("retention.signals", &c.Retention.Signals),
		span("retention.instances", &c.Retention.Instances),
	}
}

// env is the environment variable of a key: http_addr is THROUGHLINE_HTTP_ADDR.
func (s setting) env() string {
	return "THROUGHLINE_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

func text(key string, to *string) setting {
	return setting{key: key, set: func(v []string) error { *to = v[0]; return nil }}
}

func texts(key string, to *[]string) setting {
	return setting{key: key, list: true, set: func(v []string) error { *to = v; return nil }}
}

func word(key string, to *string, allowed ...string) setting {
	return setting{key: key, set: func(v []string) error {
		if !slices.Contains(allowed, v[0]) {
			return fmt.Errorf("%q is not known; allowed: %s", v[0], strings.Join(allowed, ", "))
		}
		*to = v[0]
		return nil
	}}
}

func truth(key string, to *bool) setting {
	return setting{key: key, set: func(v []string) error {
		switch v[0] {
		case "true", "false":
			*to = v[0] == "true"
			return nil
		}
		return fmt.Errorf("%q is neither true nor false", v[0])
	}}
}

func count(key string, to *int, least, most int) setting {
	return setting{key: key, set: func(v []string) error {
		n, err := strconv.Atoi(v[0])
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is not a whole number from %d to %d", v[0], least, most)
		}
		*to = n
		return nil
	}}
}

func span(key string, to *time.Duration) setting {
	return setting{key: key, set: func(v []string) error {
		d, err := flows.ParseDuration(v[0])
		if err != nil {
			return err
		}
		if d < time.Hour { // data is dropped hourly at best: less is a slip
			return fmt.Errorf("%s is too short; an hour is the least", v[0])
		}
		*to = d
		return nil
	}}
}

// Load reads the configuration: defaults, then the file, then the environment. A file
// of "" is throughline.yaml where that exists, else none. Flags come in through getenv
// (withFlags), so that all sources are checked alike. Every fault is reported, with
// file:line:col where it is in the file.
func Load(file string, getenv func(string) string) (Config, error) {
	c := defaultConfig()
	name, data, err := readConfig(file)
	if err != nil {
		return Config{}, err
	}
	settings := c.settings()
	faults := fromYAML(name, data, settings)
	for _, s := range settings {
		value := getenv(s.env())
		if value == "" {
			continue
		}
		values := []string{value}
		if s.list {
			values = strings.Split(value, ",")
		}
		if err := s.set(values); err != nil {
			faults = append(faults, fmt.Errorf("%s (flag, or environment variable %s): %w", s.key, s.env(), err))
		}
	}
	if len(faults) == 0 {
		faults = append(faults, c.Validate())
	}
	if err := errors.Join(faults...); err != nil {
		return Config{}, err
	}
	return c, nil
}

// configName is the configuration's file where no other is named.
const configName = "throughline.yaml"

func readConfig(file string) (name string, data []byte, err error) {
	name = file
	if file == "" {
		name = configName
	}
	data, err = os.ReadFile(name)
	if file == "" && errors.Is(err, fs.ErrNotExist) {
		return name, nil, nil
	}
	if err != nil {
		return name, nil, fmt.Errorf("read configuration: %w", err)
	}
	return name, data, nil
}

// withFlags puts command line flags, by dotted key, before the environment. An empty
// flag was not given.
func withFlags(getenv func(string) string, flags map[string]string) func(string) string {
	byEnv := make(map[string]string, len(flags))
	for key, value := range flags {
		byEnv[setting{key: key}.env()] = value
	}
	return func(name string) string {
		if value := byEnv[name]; value != "" {
			return value
		}
		return getenv(name)
	}
}

// URL is where the pages are.
func (c *Config) URL() string {
	if c.TLS.on() {
		return "https://" + c.HTTPAddr
	}
	return "http://" + c.HTTPAddr
}

// Validate says what does not go together.
func (c *Config) Validate() error {
	var faults []error
	for _, a := range []struct{ key, addr string }{
		{"http_addr", c.HTTPAddr}, {"otlp_grpc_addr", c.OTLPGRPCAddr}, {"otlp_http_addr", c.OTLPHTTPAddr},
	} {
		if err := checkAddr(a.addr, c.Auth.Mode); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", a.key, err))
		}
	}
	if c.DataDir == "" {
		faults = append(faults, errors.New("data_dir: a folder is needed"))
	}
	if c.ConfigDir == "" {
		faults = append(faults, errors.New("config_dir: a folder is needed"))
	}
	return errors.Join(append(faults, c.TLS.validate(), c.ClickHouse.validate(), c.NATS.validate())...)
}

func (c *ClickHouseConfig) validate() error {
	switch {
	case c.Mode == modeEmbedded && len(c.Addr) > 0:
		return errors.New("clickhouse.addr: speaks of mode external; add clickhouse.mode: external, or leave it out")
	case c.Mode == modeExternal && len(c.Addr) == 0:
		return errors.New("clickhouse.addr: mode external needs at least one host:port")
	case c.Mode == modeExternal && c.Database == "":
		return errors.New("clickhouse.database: mode external needs one")
	}
	for _, addr := range c.Addr {
		if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
			return fmt.Errorf("clickhouse.addr: %q is not host:port", addr)
		}
	}
	return nil
}

// Password reads PasswordFile, without the line break at its end; "" without a file.
func (c *ClickHouseConfig) Password() (string, error) {
	if c.PasswordFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("read clickhouse.password_file: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func (c *NATSConfig) validate() error {
	if c.Mode == modeEmbedded {
		if c.URL != "" {
			return errors.New("nats.url: speaks of mode external; add nats.mode: external, or leave it out")
		}
		if c.Replicas != 1 {
			return errors.New("nats.replicas: the embedded server is one; more need nats.mode: external")
		}
		return nil
	}
	if c.URL == "" {
		return errors.New("nats.url: mode external needs one, such as tls://nats-1:4222")
	}
	for _, one := range strings.Split(c.URL, ",") {
		if u, err := url.Parse(strings.TrimSpace(one)); err != nil || u.Host == "" {
			// The text may hold a password: it is not repeated.
			return errors.New("nats.url: not a URL such as tls://nats-1:4222 (several with commas)")
		}
	}
	return nil
}

// checkAddr refuses what is not host:port, and an address that others can reach while
// nobody is asked who they are.
func checkAddr(addr, authMode string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q: the port is a number from 0 (any free one) to 65535", addr)
	}
	if authMode != authNone || host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("%q is refused: auth.mode is none, and anyone who reaches an address that is not loopback"+
		" could read and change everything; use 127.0.0.1:%s, or auth.mode: local, which asks everybody for a token", addr, port)
}

// LogValue is the effective configuration for the log. Secrets are in files, which it
// names and does not open; what a URL carries of them is left out.
func (c Config) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("http_addr", c.HTTPAddr),
		slog.String("otlp_grpc_addr", c.OTLPGRPCAddr),
		slog.String("otlp_http_addr", c.OTLPHTTPAddr),
		slog.String("data_dir", c.DataDir),
		slog.String("config_dir", c.ConfigDir),
		slog.String("auth.mode", c.Auth.Mode),
		slog.String("clickhouse.mode", c.ClickHouse.Mode),
		slog.String("nats.mode", c.NATS.Mode),
		slog.String("nats.sync", c.NATS.Sync),
		slog.Duration("retention.spans", c.Retention.Spans),
		slog.Duration("retention.signals", c.Retention.Signals),
		slog.Duration("retention.instances", c.Retention.Instances),
	}
	if t := c.TLS; t.on() {
		attrs = append(attrs, slog.String("tls.cert_file", t.CertFile), slog.String("tls.key_file", t.KeyFile),
			slog.String("tls.client_ca_file", t.ClientCAFile))
	}
	if ch := c.ClickHouse; ch.Mode == modeExternal {
		attrs = append(attrs, slog.Any("clickhouse.addr", ch.Addr), slog.String("clickhouse.protocol", ch.Protocol),
			slog.String("clickhouse.database", ch.Database), slog.String("clickhouse.username", ch.Username),
			slog.String("clickhouse.password_file", ch.PasswordFile), slog.Bool("clickhouse.tls", ch.TLS),
			slog.String("clickhouse.cluster", ch.Cluster))
	}
	if n := c.NATS; n.Mode == modeExternal {
		attrs = append(attrs, slog.String("nats.url", redactURLs(n.URL)),
			slog.String("nats.credentials_file", n.CredentialsFile), slog.Int("nats.replicas", n.Replicas))
	}
	return slog.GroupValue(attrs...)
}

func redactURLs(list string) string {
	redacted := strings.Split(list, ",")
	for i, one := range redacted {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil {
			redacted[i] = "(not a URL)"
			continue
		}
		if u.User != nil {
			u.User = url.User("xxxxx") // a token may stand where the user's name does
		}
		redacted[i] = u.String()
	}
	return strings.Join(redacted, ",")
}
