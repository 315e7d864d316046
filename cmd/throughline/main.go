// Command throughline watches business flows end to end. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"throughline/flows/store/chdb"
)

func main() {
	chdb.Main() // the embedded ClickHouse is this program again; there it does not return
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(exitCode(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr), os.Stderr))
}

// Exit codes (CONTRACT.md).
const (
	exitDone = iota
	exitInput
	exitUsage
	exitUnreachable
)

// failure is an error with its exit code. Without one an error is the input's fault.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usage(format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...)}
}

func unreachable(format string, args ...any) error {
	return &failure{exitUnreachable, fmt.Errorf(format, args...)}
}

func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitDone
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{exitInput, err}
	}
	if text := f.Error(); text != "" {
		fmt.Fprintln(stderr, "throughline:", text)
	}
	return f.code
}
