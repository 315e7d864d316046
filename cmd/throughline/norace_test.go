//go:build !race

package main

// slow is for tests under the race detector.
const slow = 1
