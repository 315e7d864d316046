package chdb

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// role is the program name under which the child runs. The arguments after it are the path
// of the library and the folder of the configuration. It is no environment variable, so
// that nothing inherits it.
const role = "throughline-clickhouse"

// Main must be the first call in main, and in TestMain of tests that start an engine: in
// the child it runs the engine and does not return.
func Main() {
	if os.Args[0] != role || len(os.Args) != 3 {
		return
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve runs ClickHouse on this thread until standard input closes.
func serve(lib, boot string) error {
	runtime.LockOSThread()
	// Only the parent decides when to end, and it does so by closing our input.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	h, err := purego.Dlopen(lib, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return fmt.Errorf("load %s: %w", lib, err)
	}
	var setHandlers func(bool)
	purego.RegisterLibFunc(&setHandlers, h, "chdb_set_signal_handlers_enabled")
	setHandlers(false) // they are the Go runtime's
	var query func(argc int32, argv unsafe.Pointer) uintptr
	purego.RegisterLibFunc(&query, h, "chdb_query_cmdline")
	var resultError func(uintptr) string
	purego.RegisterLibFunc(&resultError, h, "chdb_result_error")

	args := []string{
		"clickhouse",
		"--config-file=" + boot + "/config.xml",
		"--log-level=warning",
		"-q", "SYSTEM START LISTEN HTTP; " +
			"SELECT getServerPort('http_port') INTO OUTFILE 'boot/port.tsv' TRUNCATE FORMAT TSV; " +
			"SELECT * FROM file('/dev/stdin', LineAsString) FORMAT Null", // until the parent closes it or dies
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	argv := make([]*byte, len(args)+1)
	for i, a := range args {
		b := append([]byte(a), 0)
		argv[i] = &b[0]
		pin.Pin(argv[i])
	}
	pin.Pin(&argv[0])
	r := query(int32(len(args)), unsafe.Pointer(&argv[0]))
	if r == 0 {
		return fmt.Errorf("clickhouse ended without a result")
	}
	if msg := resultError(r); msg != "" {
		return fmt.Errorf("clickhouse: %s", msg)
	}
	return nil
}
