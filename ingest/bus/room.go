package bus

import (
	"math/bits"
	"sync"
)

// rooms are the buffers of bodies and messages that are done with, by their size. Without
// them two thirds of all garbage at full rate would be such buffers (docs/performance.md).
var rooms [4 * 32]sync.Pool

const (
	leastRoom = 4 << 10 // a smaller one costs the collector nothing
	mostRoom  = 2 << 20 // a larger one is rare, and not kept
)

// class is the number of the sizes of a room, which grow by a fifth to a quarter, and the
// largest of them.
func class(n int) (number, size int) {
	step := bits.Len(uint(n-1)) - 3 // n is in (4, 8] steps of so many bits
	steps := (n + 1<<step - 1) >> step
	return 4*step + steps - 5, steps << step
}

// room is an empty buffer for n bytes.
func room(n int) []byte {
	if n < leastRoom || n > mostRoom {
		return make([]byte, 0, n)
	}
	number, size := class(n)
	if b, ok := rooms[number].Get().([]byte); ok {
		return b
	}
	return make([]byte, 0, size)
}

// vacate gives a buffer to the next one who wants such a room. Nobody may look at it then.
func vacate(b []byte) {
	if cap(b) < leastRoom || cap(b) > mostRoom {
		return
	}
	if number, size := class(cap(b)); size == cap(b) { // others have grown
		rooms[number].Put(b[:0]) //lint:ignore SA6002 its head is nothing beside it
	}
}
