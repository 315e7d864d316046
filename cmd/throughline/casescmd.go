package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"throughline/flows"
)

type testCmd struct {
	Path string `arg:"" optional:"" help:"A flow file, or a configuration folder (default: ./config)." default:"./config"`
}

// Help is shown below the flags.
func (testCmd) Help() string {
	return "The cases stand in the flow files, under `cases`: signals given, states expected at times.\n" +
		"Examples:\n  throughline test\n  throughline test config/flows/order-to-cash.yaml"
}

// Run is the command.
func (c *testCmd) Run(w *world) error {
	passed, failed, err := testFlows(c.Path, w.stdout)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w.stdout, "%d passed, %d failed\n", passed, failed); err != nil {
		return fmt.Errorf("test: %w", err)
	}
	if failed > 0 {
		return errors.New("cases fail")
	}
	return nil
}

// testFlows runs the cases of the flow files of a path and prints what came of them. A
// file with faults is an error, and all of them are printed.
func testFlows(path string, stdout io.Writer) (passed, failed int, err error) {
	faults, _, err := examine(path)
	if err != nil {
		return 0, 0, err
	}
	if len(faults) > 0 {
		return 0, 0, errors.Join(printFaults(stdout, "", faults), fmt.Errorf("%d faults; no case was run", len(faults)))
	}
	refs, _, _, err := checkRefs(path)
	if err != nil {
		return 0, 0, fmt.Errorf("test: %w", err)
	}
	keys, err := keysBeside(path)
	if err != nil {
		return 0, 0, fmt.Errorf("test: %w", err)
	}
	files, err := flowFiles(path)
	if err != nil {
		return 0, 0, fmt.Errorf("test: %w", err)
	}
	for _, file := range slices.DeleteFunc(files, isNoFlow) {
		text, err := readFlowFile(file)
		if err != nil {
			return passed, failed, fmt.Errorf("test: %w", err)
		}
		flow, wrong := refs.Parse(file, text)
		if len(wrong) > 0 { // it was changed since it was checked
			return passed, failed, errors.New(wrong[0].String())
		}
		ok, bad, err := testFlow(flow, keys, flows.NewNaming(refs.Systems), file, text, stdout)
		if passed, failed = passed+ok, failed+bad; err != nil {
			return passed, failed, fmt.Errorf("test: %w", err)
		}
	}
	return passed, failed, nil
}

func isNoFlow(file string) bool { return filepath.Base(file) == keysName || isRef(file) }

// keysBeside reads the keys file of the config_dir that a path is, or lies in.
func keysBeside(path string) (*flows.Keys, error) {
	dir, err := configDirOf(path)
	if err != nil {
		return nil, err
	}
	text, err := readFlowFile(filepath.Join(dir, keysName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, faults := flows.ParseKeys(keysName, text)
	if len(faults) > 0 {
		return nil, errors.New(faults[0].String())
	}
	return keys, nil
}
