package script

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
)

const waiting = `on: push
jobs:
  deployed:
    await: {type: com.example.deployed, where: subject = 'shop', timeout: 1h}
  approved:
    await: {approval: true}
  never:
    await: {type: com.example.never, timeout: 1h}
  release:
    needs: [deployed, approved]
    steps:
      - run: echo "${{ fromJSON(needs.deployed.outputs.data).version }} by ${{ needs.approved.outputs.by }}" >> released
`

// TestWaitsOutliveACrash: Redis and relevo are killed while jobs wait. Started
// again, what is awaited ends each, once; one whose event came in between and
// was told of only then, too.
func TestWaitsOutliveACrash(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	h := newHost(t, "--redis", srv.url())
	run := h.submit(h.file("waiting.yaml", waiting))
	pending := func(job string) bool {
		return regexp.MustCompile(`(?m)^` + job + `\s+\S+\s+PENDING\s`).MatchString(h.call(0, "get", run))
	}
	eventually(t, "the jobs wait", func() bool { return pending("deployed") && pending("approved") && pending("never") })
	h.send("com.example.deployed", "other", `,"subject":"cart","data":{"version":"0.9"}`)

	h.signal(syscall.SIGKILL)
	h.wait()
	srv.signal(syscall.SIGKILL)
	_ = srv.cmd.Wait() // it was killed
	srv.start()
	h.up()

	if !pending("deployed") || !pending("approved") || !pending("never") {
		t.Errorf("after the restart:\n%s", h.call(0, "get", run))
	}
	for range 2 {
		h.send("com.example.deployed", "1", `,"subject":"shop","data":{"version":"1.4.2"}`)
	}
	h.call(0, "approve", run+".approved")
	h.await("released", "by")
	if got := h.read("released"); got != "1.4.2 by local\n" {
		t.Errorf("released %q", got)
	}
	if !pending("never") {
		t.Errorf("another job was woken:\n%s", h.call(0, "get", run))
	}
	h.call(0, "cancel", run)
	h.becomes(run, "CANCELLED")
	if n := strings.Count(h.read("released"), "\n"); n != 1 {
		t.Errorf("released %d times", n)
	}
	h.signal(syscall.SIGTERM)
	h.ends(0)
}
