//go:build e2e

package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/redis"
)

// The credentials of the bucket.
const bucketKey, bucketSecret = "AKIDOFTHETEST", "h4x0r/of+the/test=="

// bucket serves one by S3 where the cluster's pods reach it: its address, the
// folder in which the server keeps it, and what ends the server.
func (r *rig) bucket(name string) (address, dir string, end func()) {
	r.Helper()
	base, at := r.TempDir(), r.port()
	dir = filepath.Join(base, "buckets", name)
	for _, d := range []string{dir, filepath.Join(base, "meta")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			r.Fatal(err)
		}
	}
	cmd := exec.CommandContext(context.WithoutCancel(r.ctx), r.built("../archive/s3", "github.com/versity/versitygw/cmd/versitygw"),
		"--port", at, "--region", "eu-test-1", "--quiet", "posix", "--sidecar", filepath.Join(base, "meta"), filepath.Dir(dir))
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + bucketKey, "ROOT_SECRET_KEY=" + bucketSecret}
	r.begun(cmd)
	r.eventually("the bucket's server listens", func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "s3://" + name + "?region=eu-test-1&endpoint=http://" + at + "&use_path_style=true", dir, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
}

// kept counts the files below a folder.
func (r *rig) kept(dir string) (n int) {
	r.Helper()
	if err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	}); err != nil {
		r.Fatal(err)
	}
	return n
}

// With the component, and the Secret that the document makes, the log of a job
// that ended is in the bucket and in Redis no more; it is read, searched and
// indexed from there, and cannot be had while the bucket is away.
func TestLogsMoveToABucket(t *testing.T) {
	r := begin(t)
	address, dir, end := r.bucket("relevo-logs")
	secret := shown(t, "In production", 0)
	for of, is := range map[string]string{"s3://relevo-logs?region=eu-west-1": address, "=KEY": "=" + bucketKey, "=SECRET": "=" + bucketSecret} {
		secret = instead(t, secret, of, is)
	}
	const service, trigger = "services.serving.knative.dev/run-completed-logs", "triggers.eventing.knative.dev/run-completed-logs"
	r.shell(secret)
	r.with("archive", nil, []string{service, trigger, "serviceaccount/run-completed-logs", "secret/relevo-logs"})
	r.ready(service, trigger)
	r.anew()

	id := r.submit(`
on: workflow_dispatch
jobs:
  talk:
    container: dev.local/relevo/busybox:test
    steps: [{run: seq 1 200000; echo the needle in it; seq 1 1000}]
`)
	attempt := r.succeeded(id).Jobs[0].Attempts[0]
	fence, err := events.ParseFence(attempt.Fence)
	if err != nil {
		t.Fatal(err)
	}
	hot := r.store().Logs(redis.LogBounds{})
	ref := events.AttemptRef{JobRef: events.JobRef{Run: events.RunID(id), Job: "talk"}, Attempt: attempt.Number, Fence: fence}
	r.within(patience/2, "Redis has the log's bytes no more", func() bool {
		_, _, _, err := hot.Read(r.ctx, ref, 0, make([]byte, 1))
		return errors.Is(err, logs.ErrMoved)
	})
	if n := r.kept(dir); n < 3 {
		t.Errorf("%d blobs in the bucket, want two chunks and the manifest", n)
	}

	var want strings.Builder
	for n := range 200_000 {
		want.WriteString(strconv.Itoa(n+1) + "\n")
	}
	want.WriteString("the needle in it\n1\n2\n")
	if got := r.log(id+".talk", 0); !strings.Contains(got, want.String()) {
		t.Errorf("%d bytes of a log came from the bucket, and not what was written: %.300s", len(got), got)
	}
	found, err := r.api.SearchLogs(r.ctx, id, client.LogSearch{Text: "needle"})
	if err != nil || len(found.Matches) == 0 || !strings.Contains(found.Matches[len(found.Matches)-1].Text, "the needle in it") {
		t.Errorf("found %+v, %v", found, err)
	}
	index, err := r.api.LogIndex(r.ctx, id+".talk", 0)
	if err != nil || !index.Closed || index.Lines < 201_001 || len(index.Gaps) > 0 {
		t.Errorf("the index is of %d lines, %v, %+v", index.Lines, err, index.Gaps)
	}
	r.audit(id)

	end()
	r.anew() // a pod has what it read last
	r.within(patience/2, "without the bucket the log cannot be had", func() bool {
		status, said := r.asks("/v1/jobs/" + id + ".talk/logs")
		return status == http.StatusServiceUnavailable && strings.Contains(said, "the log cannot be read")
	})
}

// asks the API once.
func (r *rig) asks(path string) (status int, said string) {
	r.Helper()
	request, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.server+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.Logf("%s: %v", path, err)
	}
	return answer.StatusCode, string(text)
}
