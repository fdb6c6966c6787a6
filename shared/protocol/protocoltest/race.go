package protocoltest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// workers and rounds of the races: enough to collide, few enough for a disk
// that takes milliseconds to sync.
const workers, rounds = 8, 12

// together runs f in many goroutines at once and gives the errors.
func together(f func(worker int) error) error {
	var wg sync.WaitGroup
	all := make([]error, workers)
	for w := range workers {
		wg.Go(func() { all[w] = f(w) })
	}
	wg.Wait()
	return errors.Join(all...)
}

var racing = []test{
	{"no update is lost", func(t *trial) {
		err := together(func(worker int) error {
			for i := range rounds {
				if err := t.increment(fmt.Sprint(worker, ".", i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got := t.load("run/counter")[0]
		if got.Version != workers*rounds || len(got.Body) != workers*rounds {
			t.Fatalf("version %d, %d increments, want %d", got.Version, len(got.Body), workers*rounds)
		}
		if records := t.ledger("", many); len(records) != workers*rounds {
			t.Fatalf("%d records", len(records))
		}
	}},
	{"a load sees all of a commit or nothing", func(t *trial) {
		err := together(func(worker int) error {
			for i := range uint64(4 * rounds) {
				if worker == 0 {
					both := []protocol.Doc{doc("run/1", i+1, "x"), doc("job/1", i+1, "x")}
					if _, err := t.Store.Commit(t.Context(), protocol.Commit{Partition: t.p, Puts: both}); err != nil {
						return err
					}
				}
				docs, _, err := t.Store.Load(t.Context(), t.p, "run/1", "job/1")
				if err != nil {
					return err
				}
				if docs[0].Version != docs[1].Version {
					return fmt.Errorf("versions %d and %d", docs[0].Version, docs[1].Version)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}},
	{"one event is absorbed once", func(t *trial) {
		emitted := make([][]events.Envelope, workers)
		for w := range emitted {
			emitted[w] = t.envelopes(fmt.Sprint("of ", w))
		}
		receipts := make([]protocol.Receipt, workers)
		err := together(func(w int) (err error) {
			receipts[w], err = t.Store.Commit(t.Context(), protocol.Commit{
				Partition: t.p, Inbox: "test/1", Emitted: emitted[w],
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		first := 0
		for _, r := range receipts {
			if !r.Duplicate {
				first++
			}
			if r.Record != receipts[0].Record || text(r.Emitted) != text(receipts[0].Emitted) {
				t.Fatalf("%+v and %+v", r, receipts[0])
			}
		}
		if first != 1 || len(t.ledger("", many)) != 1 {
			t.Fatalf("%d commits were the first", first)
		}
	}},
}

// increment appends a byte to the counter, over conflicts.
func (t *trial) increment(name string) error {
	for {
		docs, m, err := t.Store.Load(t.Context(), t.p, "run/counter")
		if err != nil {
			return err
		}
		c := protocol.Commit{
			Partition: t.p, Inbox: "test/" + name, Epoch: m.Epoch, Checks: docs,
			Puts:    []protocol.Doc{{ID: "run/counter", Version: docs[0].Version + 1, Body: append(docs[0].Body, 'x')}},
			Emitted: []events.Envelope{{ID: name, Source: "/relevo/test", Type: "t"}},
		}
		if _, err := t.Store.Commit(t.Context(), c); !errors.Is(err, protocol.ErrConflict) {
			return err
		}
	}
}
