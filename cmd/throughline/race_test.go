//go:build race

package main

// slow stretches promises of time where the race detector slows everything down.
const slow = 4
