package state_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

// TestRoom: what is finished makes room, the oldest first; where nothing is,
// nothing more is taken in. What had to go is still known.
func TestRoom(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		d.Most = 16 * 4
		ids := map[events.DeliveryID]string{}
		refused := 0
		for i := range 400 {
			r, err := d.Receive(t.Context(), "webhook", sent(strconv.Itoa(i)), []byte("{}"))
			if fn.KindOf(err) == fn.Exhausted && err != nil {
				refused++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			ids[r.Delivery.ID] = strconv.Itoa(i)
		}
		if len(ids) != d.Most || refused != 400-d.Most {
			t.Fatalf("%d were taken, %d refused", len(ids), refused)
		}
		for id := range ids {
			d.finish(t, id, 1)
		}
		for i := range 200 {
			d.receive(t, fmt.Sprint("later", i), "{}")
			if i%8 == 0 {
				list, _, err := d.Deliveries(t.Context(), "", 1000)
				if err != nil || len(list) > d.Most {
					t.Fatalf("%d are kept, %v", len(list), err)
				}
				for _, x := range list {
					if !x.State.Final() {
						d.finish(t, x.ID, 1)
					}
				}
			}
			if d.pass != nil {
				d.pass(time.Millisecond)
			}
		}
		for id, sender := range ids {
			if _, _, err := d.Delivery(t.Context(), id); fn.KindOf(err) == fn.NotFound {
				if r := d.receive(t, sender, "{}"); r.Arrived != state.Duplicate || r.Delivery.ID != id {
					t.Errorf("%+v: what was dropped is taken for new", r)
				}
				return
			}
		}
		t.Error("none of the first ones had to go")
	})
}

func TestBytesAreBounded(t *testing.T) {
	d := inMemory()
	d.Bytes = 16 * 64 << 10
	noise := func(i int) string {
		var b bytes.Buffer
		for b.Len() < 20<<10 {
			b.WriteString(events.DeriveID(strconv.Itoa(i), strconv.Itoa(b.Len())))
		}
		return b.String()
	}
	for i := range 300 {
		r := d.receive(t, strconv.Itoa(i), noise(i))
		d.finish(t, r.Delivery.ID, 1)
		d.pass(time.Second)
		if n := int64(len(d.everything(t))); n > d.Bytes+d.Bytes/2 {
			t.Fatalf("%d bytes are kept of %d", n, d.Bytes)
		}
	}
	if list, _, err := d.Deliveries(t.Context(), "", 1000); err != nil || len(list) < 20 || list[0].Sender != "299" {
		t.Errorf("%d are kept, %v", len(list), err)
	}
	d.receive(t, "huge", strings.Repeat(noise(1000), 10)) // larger than its share: the newest is kept whatever its size
}

func TestRetireDeliveries(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		done, open := d.receive(t, "1", "{}").Delivery, d.receive(t, "2", "{}").Delivery
		d.finish(t, done.ID, 1)
		retire := func(before time.Time) int {
			t.Helper()
			ps, err := d.store.Partitions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range ps[protocol.RunPartitions:] {
				if err := d.Retire(t.Context(), p, before); err != nil {
					t.Fatal(err)
				}
			}
			list, _, err := d.Deliveries(t.Context(), "", 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		if n := retire(done.Received); n != 2 {
			t.Fatalf("%d are left before their time", n)
		}
		if n := retire(open.Received.Add(time.Second)); n != 1 {
			t.Fatalf("%d are left", n)
		}
		if _, _, err := d.Delivery(t.Context(), open.ID); err != nil {
			t.Errorf("what nobody worked on was dropped: %v", err)
		}
		d.finish(t, open.ID, 1)
		if n := retire(open.Received.Add(time.Second)); n != 0 || strings.Contains(d.everything(t), `"bytes":1`) {
			t.Errorf("%d are left: %s", n, d.everything(t))
		}
	})
}

// TestRoomBehindWhatIsUnfinished: the oldest that are not finished do not keep
// younger ones from leaving.
func TestRoomBehindWhatIsUnfinished(t *testing.T) {
	d := inMemory()
	d.Most = 16 * 80 // more than is looked at first
	var kept []events.DeliveryID
	for i := range 2 * d.Most {
		r, err := d.Receive(t.Context(), "webhook", sent(strconv.Itoa(i)), []byte("{}"))
		if err == nil {
			kept = append(kept, r.Delivery.ID)
		}
		d.pass(time.Second)
	}
	for _, id := range kept[len(kept)-200:] {
		d.finish(t, id, 1)
	}
	for i := range 20 {
		d.receive(t, fmt.Sprint("later", i), "{}")
	}
	if _, _, err := d.Delivery(t.Context(), kept[0]); err != nil {
		t.Errorf("the oldest, which nobody worked on, is gone: %v", err)
	}
}
