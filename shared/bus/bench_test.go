package bus_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/fn"
)

// payload is of the size of a middling event.
var payload = `{"run":"01J00000000000000000000000","job":"build","attempt":1,"steps":[` +
	strings.Repeat(`{"id":"1","name":"go test","conclusion":"success","outcome":"success","exit":0,"millis":12},`, 5) + `{}]}`

// BenchmarkDelivery is a published event with one subscriber, from eight
// publishers; compare with BenchmarkLoopbackPOST, by CPU time.
func BenchmarkDelivery(b *testing.B) {
	var done sync.WaitGroup
	broker := bus.New(bus.Options{Log: quiet, Memory: 1 << 40})
	err := broker.Subscribe(fn.Function{Name: "f", On: "t.a", Handle: func(context.Context, events.Envelope) ([]events.Envelope, error) {
		done.Done()
		return nil, nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	subjects := make([]string, 64)
	for i := range subjects {
		subjects[i] = "run/01J00000000000000000000000/job/" + strconv.Itoa(i)
	}
	b.ReportAllocs()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			done.Add(1)
			e := events.Envelope{ID: "x", Source: "/relevo/test", Type: "t.a", Subject: subjects[i%64], Data: []byte(payload)}
			if err := broker.Publish(b.Context(), e); err != nil {
				b.Error(err)
			}
		}
	})
	done.Wait()
}

// BenchmarkLoopbackPOST is the same payload through net/http, by as many
// clients that keep their connections.
func BenchmarkLoopbackPOST(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.ReportAllocs()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			response, err := client.Post(server.URL, "application/json", strings.NewReader(payload))
			if err != nil {
				b.Error(err)
				continue
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	})
}
