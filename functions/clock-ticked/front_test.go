package clockticked_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/shared/cron"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

// TestFrontDoorsFire: the clock alone gets deliveries worked on and schedules
// run, and drops them after a week. Without front doors it leaves theirs be.
func TestFrontDoorsFire(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	committer := &state.Committer{Store: memory.New(func() time.Time { return now }, "test")}
	front := &state.Front{Committer: committer, Next: cron.Next}
	got, err := front.Receive(t.Context(), "webhook", trigger.Arrival{Source: "github", Sender: "1", Event: "push"}, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if err := front.SetTimers(t.Context(), "github", "acme/app", now, []trigger.Timer{{File: "a.yaml", Cron: "0 5 * * *"}}); err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	done := func(e events.Envelope) error {
		d, err := events.Decode[events.DeliveryReceived](e)
		if err != nil {
			return err
		}
		told[d.Data.Source]++
		if _, _, work, err := front.Work(t.Context(), e, d.Data.Delivery, d.Data.Round); err != nil || !work {
			return err
		}
		_, err = front.Finish(t.Context(), e, d.Data.Delivery, d.Data.Round, trigger.Ending{})
		return err
	}
	c := &clockticked.Clock{
		Runs:    &state.Runs{Committer: committer, Policy: pipeline.DefaultPolicy()},
		Direct:  func(_ context.Context, e events.Envelope) error { return done(e) },
		Publish: func(_ context.Context, _ []events.Envelope) error { return nil }, // the broker loses all
	}
	tick := func(after time.Duration) string {
		t.Helper()
		now = now.Add(after)
		if _, _, err := c.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(told["github"], " ", told["schedule"])
	}
	if got := tick(time.Minute); got != "1 0" { // from the outbox
		t.Fatalf("without front doors: %s", got)
	}
	if _, _, err := front.Replay(t.Context(), "api", got.Delivery.ID, "alice"); err != nil {
		t.Fatal(err)
	}
	c.Front = front
	told["github"] = 0
	if got := tick(0); got != "0 0" {
		t.Fatalf("told at once: %s", got)
	}
	if got := tick(time.Minute); got != "1 0" && got != "2 0" { // it is due, and in the outbox
		t.Fatalf("%s", got)
	}
	tick(5 * time.Hour)
	if got := tick(time.Minute); told["schedule"] == 0 {
		t.Fatalf("%s: the schedule was not run", got)
	}
	tick(protocol.Horizon + time.Hour)
	tick(2 * time.Hour)
	if list, _, err := front.Deliveries(t.Context(), "", 10); err != nil || len(list) != 1 || list[0].Source != "schedule" {
		t.Errorf("%+v, %v: a delivery stays a week", list, err)
	}
}
