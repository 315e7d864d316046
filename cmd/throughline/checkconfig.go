package main

import (
	"fmt"
	"io"
	"strings"
)

// checkConfig prints the faults of a configuration, of the files with certificates that it
// names too, and returns its config_dir: that of the defaults where it is at fault.
func checkConfig(file string, getenv func(string) string, stdout io.Writer) (configDir string, faults int, err error) {
	c, fault := Load(file, getenv)
	if fault == nil && c.TLS.on() {
		_, fault = c.TLS.load()
	}
	if c.ConfigDir == "" {
		c.ConfigDir = defaultConfig().ConfigDir
	}
	if fault == nil {
		return c.ConfigDir, 0, nil
	}
	for line := range strings.Lines(fault.Error()) {
		if _, err := fmt.Fprintln(stdout, strings.TrimRight(line, "\n")); err != nil {
			return "", 0, fmt.Errorf("check: %w", err)
		}
		faults++
	}
	return c.ConfigDir, faults, nil
}
