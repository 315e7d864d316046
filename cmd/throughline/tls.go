package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSConfig has files in PEM, for all three ports. Without CertFile they speak in the clear;
// with ClientCAFile who comes must have a certificate that it signed.
type TLSConfig struct {
	CertFile, KeyFile, ClientCAFile string
}

func (c *TLSConfig) on() bool { return c.CertFile != "" }

func (c *TLSConfig) validate() error {
	switch {
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("tls: cert_file and key_file go together; give both, or none")
	case c.ClientCAFile != "" && c.CertFile == "":
		return errors.New("tls.client_ca_file: needs cert_file and key_file")
	}
	return nil
}

// load reads the files.
func (c *TLSConfig) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file, tls.key_file: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if c.ClientCAFile == "" {
		return config, nil
	}
	authorities, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("tls.client_ca_file: %w", err)
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !config.ClientCAs.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("tls.client_ca_file: %s holds no certificate in PEM", c.ClientCAFile)
	}
	return config, nil
}

// certificates are the files of one port as they are now. A changed file is in force for the
// next connection, without a restart; while one is bad, those before stay in force.
type certificates struct {
	files TLSConfig
	log   *slog.Logger
	next  []string // protocols inside

	mu      sync.Mutex // guards all below
	looked  time.Time
	seen    [3]fileState
	current *tls.Config
}

// openCertificates reads the files for a port that speaks these protocols inside.
func openCertificates(files TLSConfig, log *slog.Logger, next ...string) (*tls.Config, error) {
	c := &certificates{files: files, log: log, next: next, looked: time.Now()}
	c.seen = c.state()
	if err := c.read(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: next,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.latest(time.Now()), nil },
	}, nil
}

func (c *certificates) state() (s [3]fileState) {
	for i, file := range []string{c.files.CertFile, c.files.KeyFile, c.files.ClientCAFile} {
		if info, err := os.Stat(file); err == nil {
			s[i] = fileState{info.Size(), info.ModTime()}
		}
	}
	return s
}

func (c *certificates) read() error {
	config, err := c.files.load()
	if err != nil {
		return err
	}
	config.NextProtos = c.next
	c.current = config
	return nil
}

// latest looks at the files at most once a second.
func (c *certificates) latest(now time.Time) *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.looked) < time.Second {
		return c.current
	}
	c.looked = now
	state := c.state()
	if state == c.seen {
		return c.current
	}
	c.seen = state
	if err := c.read(); err != nil {
		c.log.Error("changed certificates refused, those before stay in force", "error", err)
		return c.current
	}
	c.log.Info("changed certificates in force")
	return c.current
}
