package events_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/events"
)

func ExampleNew() {
	started := events.RunStarted{RunRef: events.RunRef{Run: "01K8QWJ2M4N6P8R0S2T4V6X8ZA"}}
	e, err := events.New("id", "/relevo/run-requested", "cause", time.Date(2025, 11, 3, 9, 30, 0, 0, time.UTC), started)
	if err != nil {
		fmt.Println(err)
		return
	}
	line, err := json.MarshalIndent(e, "", "  ")
	fmt.Println(string(line), err)
	// Output:
	// {
	//   "specversion": "1.0",
	//   "id": "id",
	//   "source": "/relevo/run-requested",
	//   "type": "dev.relevo.pipeline.run.started.v1",
	//   "subject": "run/01K8QWJ2M4N6P8R0S2T4V6X8ZA",
	//   "time": "2025-11-03T09:30:00.000Z",
	//   "datacontenttype": "application/json",
	//   "causeid": "cause",
	//   "runid": "01K8QWJ2M4N6P8R0S2T4V6X8ZA",
	//   "partitionkey": "01K8QWJ2M4N6P8R0S2T4V6X8ZA",
	//   "traceparent": "00-8b81c0c143de08849fc860fdfa426e73-9ef7a89b656657b0-01",
	//   "data": {
	//     "run": "01K8QWJ2M4N6P8R0S2T4V6X8ZA"
	//   }
	// } <nil>
}

func ExampleDecode() {
	e := events.Envelope{
		ID: "1", Type: events.TypeRunFailed,
		Data: json.RawMessage(`{"run":"R","verdict":"failed","reason":"test: step unit: exit 2"}`),
	}
	failed, err := events.Decode[events.RunFailed](e)
	fmt.Println(failed.Data.Verdict, failed.Data.Reason, err)

	_, err = events.Decode[events.RunCompleted](e)
	fmt.Println(errors.Is(err, events.ErrInvalid))
	// Output:
	// failed test: step unit: exit 2 <nil>
	// true
}

// A handler that is called twice with one cause makes the same ids.
func ExampleDeriveID() {
	once := events.DeriveID("cause", "job-requested", "0")
	again := events.DeriveID("cause", "job-requested", "0")
	next := events.DeriveID("cause", "job-requested", "1")
	fmt.Println(once == again, once == next)
	// Output: true false
}

func ExampleEmitter() {
	m := events.Emitter{
		Function: "run-requested",
		Cause:    events.Envelope{ID: "cause", Type: events.TypeRunRequested},
		Owner:    "run/R",
		Version:  2,
	}
	m.Emit(events.RunStarted{RunRef: events.RunRef{Run: "R"}})
	for _, e := range m.Emitted() {
		fmt.Println(e.Type, e.Source, e.CauseID, e.Sequence)
	}
	// Output: dev.relevo.pipeline.run.started.v1 /relevo/run-requested cause 8192
}

// A restore of the store raises the epoch: what was given before it is stale,
// however high its counter.
func ExampleFence() {
	before, err := events.ParseFence("1.907")
	after := events.Fence{Epoch: 2, Counter: 1}
	fmt.Println(before.Compare(after) < 0, after, err)
	// Output: true 2.1 <nil>
}

func ExampleCatalog() {
	for _, e := range events.Catalog() {
		if e.Context == events.Provider {
			fmt.Printf("%s %T\n", e.Type, e.New())
		}
	}
	// Output:
	// dev.relevo.provider.worker.created.v1 *events.WorkerCreated
	// dev.relevo.provider.worker.terminated.v1 *events.WorkerTerminated
	// dev.relevo.provider.worker.failed.v1 *events.WorkerFailed
}
