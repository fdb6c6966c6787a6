//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/redis"
)

// pool is the one that the development overlay's jobs run in.
const pool events.PoolID = "default"

// store opens the installation's Redis.
func (r *rig) store() *redis.Store {
	r.Helper()
	service, err := r.kube.CoreV1().Services(namespace).Get(r.ctx, "redis", v1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	s, err := redis.Open(r.ctx, fmt.Sprintf(redisURL, service.Spec.ClusterIP), redis.Options{})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = s.Close() })
	return s
}

// ledger reads a partition's ledger, what a record absorbed before what it
// emitted, and only what mine says.
func (r *rig) ledger(s *redis.Store, p protocol.Partition, mine func(events.Envelope) bool) (all, emitted []events.Envelope) {
	r.Helper()
	var after protocol.LedgerID
	for {
		records, err := s.Ledger(r.ctx, p, after, 500)
		if err != nil {
			r.Fatal(err)
		}
		if len(records) == 0 {
			return all, emitted
		}
		for _, record := range records {
			after = record.ID
			for _, e := range record.Absorbed {
				if mine(e) {
					all = append(all, e)
				}
			}
			for _, e := range record.Emitted {
				if mine(e) {
					all, emitted = append(all, e), append(emitted, e)
				}
			}
		}
	}
}

// audit holds S1 to S5 and S7 by the ledger and the cluster, at rest.
func (r *rig) audit(ids ...string) {
	r.Helper()
	s := r.store()
	for _, id := range ids {
		r.auditRun(s, events.RunID(id))
	}
	r.auditPool(s, pool)
	r.noWorker(jobs)
}

// noWorker holds that in the end a namespace has none.
func (r *rig) noWorker(in string) {
	r.Helper()
	r.eventually("S4: no worker is left", func() bool {
		list, err := r.kube.BatchV1().Jobs(in).List(r.ctx, v1.ListOptions{})
		return err == nil && len(list.Items) == 0
	})
}

func (r *rig) auditRun(s *redis.Store, id events.RunID) {
	r.Helper()
	p := protocol.PartitionOf(id)
	all, emitted := r.ledger(s, p, func(e events.Envelope) bool { return e.RunID == string(id) })
	ends := 0
	hellos := map[string]int{}
	sequences := map[string]uint64{}
	for _, e := range emitted {
		switch e.Type {
		case events.TypeRunCompleted, events.TypeRunFailed, events.TypeRunCancelled:
			ends++
		case events.TypeAssignmentAccepted:
			hellos[e.Subject]++
		}
		if e.Sequence > 0 && e.Sequence <= sequences[e.Subject] {
			r.Errorf("S5: the sequence of %s went from %d to %d", e.Subject, sequences[e.Subject], e.Sequence)
		}
		sequences[e.Subject] = max(sequences[e.Subject], e.Sequence)
	}
	if ends != 1 {
		r.Errorf("S1: run %s ended %d times", id, ends)
	}
	for subject, n := range hellos {
		if n > 1 {
			r.Errorf("S2: %d workers were let in for %s", n, subject)
		}
	}
	again := &pipeline.Run{}
	for _, e := range all {
		if err := again.Replay(e); err != nil {
			r.Errorf("S5: %s %s: %v", e.Type, e.ID, err)
			return
		}
	}
	docs, _, err := s.Load(r.ctx, p, protocol.DocID("run/"+id))
	if err != nil {
		r.Fatal(err)
	}
	if body, err := json.Marshal(again); err != nil || string(body) != string(docs[0].Body) {
		r.Errorf("S7: the ledger of %s gives\n%s, stored is\n%s (%v)", id, body, docs[0].Body, err)
	}
}

// auditPool holds that what was assigned came back, once.
func (r *rig) auditPool(s *redis.Store, id events.PoolID) {
	r.Helper()
	p := protocol.PoolPartition(id)
	r.eventually("S3: all capacity is free", func() bool {
		held, err := s.List(r.ctx, p, "held")
		return err == nil && len(held) == 0
	})
	_, emitted := r.ledger(s, p, func(events.Envelope) bool { return true })
	var created, released []string
	for _, e := range emitted {
		switch e.Type {
		case events.TypeAssignmentCreated:
			created = append(created, e.Subject)
		case events.TypeAssignmentReleased:
			released = append(released, e.Subject)
		}
	}
	slices.Sort(created)
	slices.Sort(released)
	if !slices.Equal(created, released) || len(slices.Compact(slices.Clone(created))) != len(created) {
		r.Errorf("S3, S8: assigned %s, released %s", strings.Join(created, " "), strings.Join(released, " "))
	}
}
