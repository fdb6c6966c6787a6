package state_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/state"
)

// BenchmarkReceive is what a webhook waits for: a delivery of 10 KB into the
// store in memory.
func BenchmarkReceive(b *testing.B) {
	d := inMemory()
	body := strings.Repeat(`{"ref": "refs/heads/main"}`, 400)
	for i := 0; b.Loop(); i++ {
		r, err := d.Receive(b.Context(), "webhook", sent(strconv.Itoa(i)), []byte(body))
		if err != nil || r.Arrived != state.Accepted {
			b.Fatal(r, err)
		}
		if i%256 == 255 {
			d = inMemory()
		}
	}
}
