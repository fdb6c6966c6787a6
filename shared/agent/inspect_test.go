package agent_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent"
	"github.com/relevo-ci/relevo/shared/agent/inspect"
)

func TestLookingIn(t *testing.T) {
	p := newPlane(t)
	p.secrets = map[string]string{"S": "hunter2"}
	w := newWorker(t, p, sh(`echo "COLOR=green" >> "$GITHUB_ENV"; echo x > note`), sh(`echo ready; while ! [ -e stop ]; do sleep 0.02; done`))
	w.launch.HasSecrets = true
	w.start().logged("ready\n")
	port, err := os.ReadFile(filepath.Join(w.dir, agent.PortFile))
	if err != nil {
		t.Fatal(err)
	}
	post := func(body string) (text, exit string) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:"+string(port)+"/exec", strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		out, _ := io.ReadAll(res.Body)
		return string(out), res.Trailer.Get(inspect.ExitTrailer)
	}
	for range 2 { // once per id
		text, exit := post(`{"id":"1","run":"ls; echo $COLOR hunter2; echo again >> count; cat count; exit 4"}`)
		if text != "note\ngreen ***\nagain\n" || exit != "4" {
			t.Errorf("%q, exit %s", text, exit)
		}
	}
	if text, exit := post(`{"id":"2","run":"sleep 1000","timeoutSeconds":1}`); !strings.Contains(text, "it took too long") || exit != "-1" {
		t.Errorf("%q, exit %s", text, exit)
	}
	post(`{"id":"3","run":"touch stop; sleep 1000 & setsid sleep 1000 &"}`)
	w.ending(events.Succeeded)
	if strings.Contains(p.log(), "again") {
		t.Errorf("what is run besides the steps is in their log: %q", p.log())
	}
}
