package simulate

import (
	"testing"
	"time"
)

// TestVersions: a fault comes with a version that was there before it, and goes with another.
func TestVersions(t *testing.T) {
	for i := range 3 {
		first := invoicing.first + time.Duration(i)*(invoicing.down+invoicing.up)
		at := func(since time.Duration) string { return (&world{began: time.Now().Add(-since)}).version("erp") }
		before, during, after := at(first-2*rollOut), at(first), at(first+invoicing.down)
		if at(first-rollOut+time.Second) != during || before == during || during == after || before == after {
			t.Errorf("fault %d: before it %s, during %s, after %s", i, before, during, after)
		}
	}
}
