package chdb

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

const libName = "libchdb.so"

// FindLib looks for libchdb.so: the explicit path where there is one; beside this program;
// in node_modules of the working folder, of the program's folder and of their parents, as
// Node.js does; in the system's library folders.
func FindLib(explicit string) (string, error) {
	if explicit != "" {
		if !isFile(explicit) {
			return "", fmt.Errorf("libchdb.so: there is no file %s", explicit)
		}
		return explicit, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	cwd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working folder: %w", err)
	}
	for _, path := range candidates(filepath.Dir(exe), cwd) {
		if isFile(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("libchdb.so, the embedded ClickHouse, was not found: run `npm ci` in the project's folder to get it; "+
		"clickhouse.mode: external needs none (looked beside %s, in node_modules there and in %s, and in the system's library folders)", exe, cwd)
}

// candidates are the places to look at, best first.
func candidates(exeDir, cwd string) []string {
	paths := []string{filepath.Join(exeDir, libName)}
	for _, dir := range []string{cwd, exeDir} {
		for {
			paths = append(paths, filepath.Join(dir, "node_modules", npmPackage(), libName))
			if dir == filepath.Dir(dir) {
				break
			}
			dir = filepath.Dir(dir)
		}
	}
	for _, dir := range []string{"/usr/local/lib", "/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"} {
		paths = append(paths, filepath.Join(dir, libName))
	}
	return paths
}

// npmPackage is the package that carries the library for this machine.
func npmPackage() string {
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	name := "@chdb/lib-" + runtime.GOOS + "-" + arch
	if runtime.GOOS == "linux" {
		name += "-gnu"
	}
	return name
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
