package eventemitted_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	eventemitted "github.com/relevo-ci/relevo/functions/event-emitted"
	"github.com/relevo-ci/relevo/shared/fn"
)

func emitted(t *testing.T, name string) events.Envelope {
	t.Helper()
	e, err := events.New("id", "/relevo/worker", "cause", time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), events.EventEmitted{
		AttemptRef: events.AttemptRef{JobRef: events.JobRef{Run: "R", Job: "build.0"}, Attempt: 1},
		Index:      2, Name: name, About: "thing/1", Content: json.RawMessage(`{"a":1}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Traceparent, e.Epoch, e.Sequence = "00-1-2-01", 3, 7
	return e
}

func TestTheUsersOwnEvent(t *testing.T) {
	for range 2 {
		got, err := eventemitted.New().Handle(t.Context(), emitted(t, "com.example.thing"))
		want := events.Envelope{
			ID: events.DeriveID("event-emitted", "id"), Source: "/relevo/run/R/job/build.0", Type: "com.example.thing", Subject: "thing/1",
			Time: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Data: json.RawMessage(`{"a":1}`),
			CauseID: "id", RunID: "R", PartitionKey: "R", Traceparent: "00-1-2-01",
		}
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
}

// TestNobodySpeaksForUs: a type of Relevo's own is not published, whoever asks.
func TestNobodySpeaksForUs(t *testing.T) {
	for _, name := range []string{string(events.TypeRunCompleted), "dev.cdevents.x", "", "a b"} {
		got, err := eventemitted.New().Handle(t.Context(), emitted(t, name))
		var f *fn.Fault
		if len(got) != 0 || !errors.As(err, &f) || f.Kind != fn.Invalid {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
}
