package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/logs"
)

func TestLogs(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(hello) + ".build"
	w.report(0, execution.Hello, "one\ntwo\n", nil)
	rec := w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs", "")
	if rec.Code != http.StatusOK || rec.Body.String() != "one\ntwo\n" || rec.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d %v %q", rec.Code, rec.Header(), rec.Body)
	}
	if rec.Header().Get(client.HeaderAttempt) != "1" || rec.Header().Get(client.HeaderLog) != client.LogOpen {
		t.Errorf("headers %v", rec.Header())
	}
	w.finish(0, "three\n")
	rec = w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs?attempt=1&offset=4&follow=true", "")
	if rec.Body.String() != "two\nthree\n" || rec.Header().Get(client.HeaderLog) != client.LogClosed || rec.Header().Get("Content-Length") != "10" {
		t.Errorf("%v %q", rec.Header(), rec.Body)
	}
	if rec := w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs?offset=14", ""); rec.Code != http.StatusOK || rec.Body.Len() != 0 {
		t.Errorf("at the end: %d %q", rec.Code, rec.Body)
	}
	refused(t, w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs?offset=15", ""), http.StatusRequestedRangeNotSatisfiable)
	refused(t, w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs?attempt=2", ""), http.StatusNotFound)
	refused(t, w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs?offset=-1", ""), http.StatusUnprocessableEntity)
	refused(t, w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs?offset=x", ""), http.StatusUnprocessableEntity)
	if rec := w.ask(http.MethodHead, "/v1/jobs/"+id+"/logs", ""); rec.Body.Len() != 0 || rec.Header().Get("Content-Length") != "14" {
		t.Errorf("head: %v %q", rec.Header(), rec.Body)
	}
}

// A follower that is there before the attempt sees all of it.
func TestFollowFromBeforeTheBeginning(t *testing.T) {
	w := newWorld(t)
	c := w.serve()
	id := w.submit(hello) + ".build"
	r, out := io.Pipe()
	go func() {
		_, err := c.Logs(t.Context(), id, client.LogOptions{Follow: true}, out)
		out.CloseWithError(errors.Join(err, io.EOF))
	}()
	w.node("n1", 1)
	want := ""
	for _, line := range []string{"one\n", "two\n", "three\n"} {
		w.report(0, execution.Hello, line, nil)
		want += line
		got := make([]byte, len(line))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != line {
			t.Fatalf("read %q, %v; want %q as it is written", got, err, line)
		}
	}
	w.finish(0, "end\n")
	if rest, err := io.ReadAll(r); string(rest) != "end\n" {
		t.Errorf("at the end %q, %v", rest, err)
	}
}

// TestFollowAcrossBrokenConnections cuts every answer somewhere.
func TestFollowAcrossBrokenConnections(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	id := w.submit(hello) + ".build"
	line := strings.Repeat("0123456789abcdef", 64) + "\n"
	w.report(0, execution.Hello, strings.Repeat(line, 200), nil)
	cutter := newCuts(w.http, 7000, 10)
	s := httptest.NewServer(cutter)
	defer s.Close()
	c := &client.Client{BaseURL: s.URL, HTTP: s.Client(), Pause: noPause}
	var got bytes.Buffer
	done := make(chan error, 1)
	go func() {
		_, err := c.Logs(t.Context(), id, client.LogOptions{Follow: true}, &got)
		done <- err
	}()
	<-cutter.hit
	w.finish(0, strings.Repeat(line, 100))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got.String() != strings.Repeat(line, 300) {
		t.Errorf("%d bytes of %d, or others", got.Len(), 300*len(line))
	}
}

// The log of a worker that was lost is never closed; its followers are let go.
func TestFollowALostWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.runs.Policy.InfraRetries = 0
		w.node("n1", 1)
		id := w.submit(hello)
		w.report(0, execution.Hello, "last words", nil)
		l := w.launches[0]
		var rec *httptest.ResponseRecorder
		var wg sync.WaitGroup
		wg.Go(func() { rec = w.ask(http.MethodGet, "/v1/jobs/"+id+".build/logs?follow=true", "") })
		synctest.Wait()
		gone, err := events.New("gone", "/relevo/test", "", w.time(), events.WorkerTerminated{
			For: l.AttemptRef, Placement: events.Placement{Pool: "linux", Worker: l.Worker}, Reason: "exited 137",
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.publish(t.Context(), []events.Envelope{gone}); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if rec.Body.String() != "last words" {
			t.Errorf("followed %q", rec.Body)
		}
		rec = w.ask(http.MethodGet, "/v1/jobs/"+id+".build/logs?follow=true&offset=10", "")
		if rec.Header().Get(client.HeaderLog) != client.LogClosed || rec.Body.Len() != 0 {
			t.Errorf("asked again: %v %q", rec.Header(), rec.Body)
		}
	})
}

// A stream ends itself before whatever stands in front cuts it.
func TestFollowEndsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.runs.Policy.Lease = time.Hour
		id := w.submit(hello)
		began := time.Now()
		rec := w.ask(http.MethodGet, "/v1/jobs/"+id+".build/logs?follow=true", "") // no attempt comes
		if d := time.Since(began); d != 240*time.Second || rec.Code != http.StatusOK || rec.Header().Get(client.HeaderLog) != client.LogOpen {
			t.Errorf("after %s: %d %v", d, rec.Code, rec.Header())
		}
		w.node("n1", 1)
		w.report(0, execution.Hello, "words", nil)
		began = time.Now()
		rec = w.ask(http.MethodGet, "/v1/jobs/"+id+".build/logs?follow=true", "")
		if d := time.Since(began); d != 240*time.Second || rec.Body.String() != "words" || rec.Header().Get(client.HeaderLog) != client.LogOpen {
			t.Errorf("after %s: %q %v", d, rec.Body, rec.Header())
		}
		go func() {
			synctest.Wait()
			w.api.Close()
		}()
		began = time.Now()
		w.ask(http.MethodGet, "/v1/jobs/"+id+".build/logs?follow=true", "")
		if d := time.Since(began); d != 0 {
			t.Errorf("the host went down %s before the stream", d)
		}
	})
}

// A follower hears at once that the job will never have an attempt.
func TestFollowWhatIsCancelledBeforeItBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit(hello)
		var rec *httptest.ResponseRecorder
		var wg sync.WaitGroup
		wg.Go(func() { rec = w.ask(http.MethodGet, "/v1/jobs/"+id+".build/logs?follow=true", "") })
		synctest.Wait()
		w.ask(http.MethodPost, "/v1/pipelines/"+id+"/cancel", "")
		wg.Wait()
		refused(t, rec, http.StatusNotFound)
	})
}

// The deadline that a stream sets for its reader holds for what is written, not
// for the silence after it: the answer still ends well.
func TestAStreamEndsWellAfterSilence(t *testing.T) {
	const patience = 50 * time.Millisecond
	w := newWorld(t, func(w *world) { w.api.Streams.Patience = patience })
	c := w.serve()
	w.node("n1", 1)
	id := w.submit(hello)
	w.report(0, execution.Hello, "words\n", nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.BaseURL+"/v1/jobs/"+id+".build/logs?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, len("words\n"))); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(3 * patience); time.Now().Before(end); {
		w.ask(http.MethodGet, "/healthz", "")
	}
	w.finish(0, "")
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("at the end %q, %v", rest, err)
	}
}

// breaking is a log store that breaks after a few reads.
type breaking struct {
	logs.Store
	left atomic.Int32
}

func (b *breaking) Read(ctx context.Context, ref events.AttemptRef, offset int64, buf []byte) (int, int64, bool, error) {
	if b.left.Add(-1) < 0 {
		return 0, 0, false, errors.New("disk broken")
	}
	return b.Store.Read(ctx, ref, offset, buf)
}

// elsewhere is a store that knows of its logs, whose bytes are where nobody answers.
type elsewhere struct{ logs.Store }

func (e elsewhere) Read(ctx context.Context, ref events.AttemptRef, offset int64, buf []byte) (int, int64, bool, error) {
	if len(buf) > 0 {
		return 0, 0, false, errors.New("bucket broken")
	}
	return e.Store.Read(ctx, ref, offset, buf)
}

// What begins no answer is refused, and its job is shown nonetheless.
func TestALogThatIsAway(t *testing.T) {
	w := newWorld(t, func(w *world) { w.api.Logs = elsewhere{w.logs} })
	w.node("n1", 1)
	id := w.submit(hello) + ".build"
	w.report(0, execution.Hello, "words\n", nil)
	if err := w.logs.Close(t.Context(), w.launches[0].AttemptRef, logs.Present); err != nil {
		t.Fatal(err)
	}
	rec := w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs", "")
	refused(t, rec, http.StatusServiceUnavailable)
	if strings.Contains(rec.Body.String(), "broken") {
		t.Errorf("it tells %s", rec.Body)
	}
	if j := decode[client.Job](t, w.ask(http.MethodGet, "/v1/jobs/"+id, ""), http.StatusOK); j.State != "RUNNING" {
		t.Errorf("the job is %s", j.State)
	}
}

// A log that cannot be read on is cut, or a reader takes its part for the whole.
func TestALogThatBreaksOff(t *testing.T) {
	store := &breaking{}
	w := newWorld(t, func(w *world) {
		store.Store = w.logs
		w.api.Logs = store
	})
	w.node("n1", 1)
	id := w.submit(hello) + ".build"
	w.report(0, execution.Hello, "words\n", nil)
	c := w.serve()
	read := func() ([]byte, *http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.BaseURL+"/v1/jobs/"+id+"/logs", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		return got, res, err
	}
	store.left.Store(2)
	if got, _, err := read(); string(got) != "words\n" || err == nil {
		t.Errorf("%q, %v", got, err)
	}
	store.left.Store(0)
	if got, res, _ := read(); res.StatusCode != http.StatusServiceUnavailable || bytes.Contains(got, []byte("disk")) {
		t.Errorf("%d %q", res.StatusCode, got)
	}
}
