package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// writes keeps each write of an answer apart.
type writes struct {
	*httptest.ResponseRecorder
	mu   sync.Mutex
	each []string
}

func (w *writes) so() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.each, "|")
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.each = append(w.each, strings.ReplaceAll(strings.Join(idsIn(string(p)), " "), "note-", ""))
	return w.ResponseRecorder.Write(p)
}

// TestABurstIsGathered: what comes after silence goes out at once, what follows
// on its heels together.
func TestABurstIsGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		out := &writes{ResponseRecorder: httptest.NewRecorder()}
		var wg sync.WaitGroup
		wg.Go(func() {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/events", nil)
			r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost"
			w.http.ServeHTTP(out, r)
		})
		for i, c := range []struct {
			after time.Duration
			want  string // written so far
		}{
			{time.Second, "|1"},
			{time.Millisecond, "|1"},
			{8 * time.Millisecond, "|1"},
			{500 * time.Microsecond, "|1"},
			{time.Second, "|1|2 3 4|5"},
			{20 * time.Millisecond, "|1|2 3 4|5|6"},
		} {
			time.Sleep(c.after)
			w.record(i+1, i+1)
			synctest.Wait()
			if got := out.so(); got != c.want {
				t.Errorf("after event %d: %s, want %s", i+1, got, c.want)
			}
		}
		cancel()
		wg.Wait()
	})
}
