// Package archive tries what keeps logs in a bucket against a server that speaks
// S3: Versity's gateway over a folder, which looks at every signature.
package archive_test

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/relevo-ci/relevo/deploy/doors" // links the drivers that the programs have
)

const (
	key    = "AKIDOFTHETEST"
	secret = "h4x0r/of+the/test=="
	region = "eu-test-1"
)

// built is where the programs are: relevo and the server.
var built string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "relevo-archive"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(built)
	for _, args := range [][]string{
		{"-C", "s3", "-o", filepath.Join(built, "s3"), "github.com/versity/versitygw/cmd/versitygw"},
		{"-o", filepath.Join(built, "relevo"), "../../deploy/relevo"},
	} {
		if out, err := exec.Command("go", append([]string{"build"}, args...)...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", args, err, out)
			return 1
		}
	}
	return m.Run()
}

// server speaks S3 over a folder, in which each folder is a bucket.
type server struct {
	t       *testing.T
	dir     string
	address string
	cmd     *exec.Cmd
	said    bytes.Buffer
}

// start starts one, and sets for this process what it lets in.
func start(t *testing.T) *server {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	s := &server{t: t, dir: t.TempDir(), address: free(t)}
	s.up()
	t.Cleanup(s.down)
	return s
}

func (s *server) up() {
	s.t.Helper()
	meta := filepath.Join(s.dir, "meta") // the file system need not have extended attributes
	for _, d := range []string{meta, filepath.Join(s.dir, "buckets")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	s.cmd = exec.Command(filepath.Join(built, "s3"), "--port", s.address, "--region", region, "--quiet", "posix", "--sidecar", meta, filepath.Join(s.dir, "buckets"))
	s.cmd.Env = []string{"ROOT_ACCESS_KEY=" + key, "ROOT_SECRET_KEY=" + secret}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	until(s.t, "the server to listen", func() bool {
		c, err := net.Dial("tcp", s.address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (s *server) down() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
	if s.t.Failed() {
		s.t.Logf("the server said:\n%s", &s.said)
	}
}

var buckets struct {
	sync.Mutex
	made int
}

// bucket makes one: its address, and where the server keeps it.
func (s *server) bucket() (address, dir string) {
	s.t.Helper()
	buckets.Lock()
	defer buckets.Unlock()
	buckets.made++
	name := fmt.Sprintf("logs-%d", buckets.made)
	dir = filepath.Join(s.dir, "buckets", name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	return s.of(name), dir
}

// of is the address of a bucket by its name.
func (s *server) of(name string) string {
	q := url.Values{"region": {region}, "endpoint": {"http://" + s.address}, "use_path_style": {"true"}}
	return "s3://" + name + "?" + q.Encode()
}

// blobs are the files of a folder and those below it.
func blobs(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// until waits for something to be so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}
