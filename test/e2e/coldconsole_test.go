//go:build e2e

package e2e

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const consoleHost = "console.relevo.relevo.test"

// The console wakes on the first request of a browser, shows a run that is
// asked for then, and tells the page that follows it until it is over.
func TestConsoleFromZero(t *testing.T) {
	r := begin(t)
	door := httptest.NewServer(ingress(environment(t, "RELEVO_CLUSTER_INGRESS"), consoleHost))
	defer door.Close()
	r.zero()
	began := time.Now()
	if page := r.page(door.URL + "/"); !strings.Contains(page, "<title>Runs") {
		t.Fatalf("the first page is\n%s", page)
	}
	t.Logf("from zero to the page: %s", time.Since(began).Round(time.Millisecond))

	id := r.submit(one)
	stream := r.get(door.URL + "/live?run=" + id)
	told := 0
	for lines := bufio.NewScanner(stream.Body); told < 2 && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "event: changed") {
			told++
		}
	}
	stream.Body.Close() // a page that is open keeps the console awake
	if told < 2 {
		t.Error("the page that follows the run was not told of what happened")
	}
	r.succeeded(id)
	r.eventually("the page shows how it ended", func() bool {
		return strings.Contains(r.page(door.URL+"/runs/"+id), "Succeeded")
	})
	r.zero()
}

// get asks as a person does who is known.
func (r *rig) get(address string) *http.Response {
	r.Helper()
	request, err := http.NewRequestWithContext(r.ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		r.Fatalf("%s is answered %s: %s", address, answer.Status, text)
	}
	return answer
}

func (r *rig) page(address string) string {
	r.Helper()
	answer := r.get(address)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.Fatal(err)
	}
	return string(text)
}
