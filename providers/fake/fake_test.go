package fake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// The suite's scripts are played on the records: there are no processes.
func TestConformance(t *testing.T) {
	conformance.Suite(t, func(*testing.T) conformance.Harness {
		var mu sync.Mutex
		all := map[string]*fake.Provider{}
		return conformance.Harness{
			Open: func(_ *testing.T, installation string) provider.Provider {
				mu.Lock()
				defer mu.Unlock()
				if all[installation] == nil {
					all[installation] = player()
				}
				return all[installation]
			},
		}
	})
}

func player() *fake.Provider {
	p := fake.New()
	p.Launched = func(l execution.Launch) { play(p, l) }
	p.Dial = func(events.WorkerID, int) (net.Conn, error) {
		here, there := net.Pipe()
		go func() { _, _ = io.Copy(there, there) }()
		return here, nil
	}
	return p
}

func play(p *fake.Provider, l execution.Launch) {
	for _, line := range conformance.Script(l) {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "show":
			l.Workspace = "/workspace"
			text, err := json.Marshal(l)
			if err != nil {
				panic(err)
			}
			p.Print(l.Worker, fmt.Appendf(nil, "mode 600\nworkspace /workspace\nlaunch %s\n", text))
		case "tree":
			p.Print(l.Worker, []byte("up plain\nup session\nup bare\nup orphan\n"))
		case "exit":
			code, err := strconv.Atoi(rest)
			if err != nil {
				panic(err)
			}
			p.Print(l.Worker, []byte("leaving\n"))
			p.Exit(l.Worker, code, "exited "+rest, true)
			return
		}
	}
	p.Print(l.Worker, []byte("ready\n"))
}
