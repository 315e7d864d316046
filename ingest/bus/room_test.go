package bus

import "testing"

func TestRooms(t *testing.T) {
	for n := leastRoom; n <= mostRoom; n += n/100 + 1 {
		number, size := class(n)
		if size < n || size > n+n/4 {
			t.Fatalf("a room of %d for %d", size, n)
		}
		if again, same := class(size); again != number || same != size {
			t.Fatalf("the room of %d is of class %d, one of its size of %d", n, number, again)
		}
		if b := room(n); len(b) != 0 || cap(b) < n {
			t.Fatalf("room for %d has %d", n, cap(b))
		}
	}
	if number, _ := class(mostRoom); number >= len(rooms) {
		t.Fatalf("class %d", number)
	}
	vacate(nil)
	vacate(make([]byte, 0, leastRoom+1)) // grown: of no class
	if b := room(leastRoom + 1); cap(b) == leastRoom+1 {
		t.Fatal("a room that is of no class was kept")
	}
}
