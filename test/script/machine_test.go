package script

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// processes are those that still live of all that relevo started here: they
// inherited its TMPDIR, or work in a folder of the stage. (Those in containers
// do neither.)
func (s *stage) processes() []int {
	s.t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		s.t.Fatal(err)
	}
	mark := []byte("TMPDIR=" + s.temp)
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		marked := err == nil && slices.ContainsFunc(bytes.Split(env, []byte{0}), func(kv []byte) bool { return bytes.Equal(kv, mark) })
		cwd, _ := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if (marked || strings.HasPrefix(cwd, filepath.Dir(s.dir)+"/")) && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// agents are the processes among them that are agents.
func (s *stage) agents() []int {
	return slices.DeleteFunc(s.processes(), func(pid int) bool {
		exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
		return err != nil || exe != filepath.Join(bin, "relevo-agent")
	})
}

// clean wants nothing to be left: no process, no state, no container.
func (s *stage) clean() {
	s.t.Helper()
	for _, pid := range s.processes() {
		line, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		s.t.Errorf("process %d is left: %q", pid, bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
	}
	left, err := os.ReadDir(s.temp)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range left {
		s.t.Errorf("%s is left in the temporary folder", e.Name())
	}
	for _, c := range s.containers() {
		s.t.Errorf("container %s is left", c.Name)
	}
}

// peak is the most memory that a process ever held, in bytes; 0 when it is gone.
func peak(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

// alive tells whether a process is there and no zombie.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// docker runs the docker command and gives its output.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("docker", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// inspect asks for one field of a container; empty where it is gone.
func inspect(id, field string) string {
	out, err := exec.Command("docker", "inspect", "--format", field, id).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// container is a worker's container.
type container struct {
	ID, Name, Installation, Worker, Run, Job string
}

// containers are those, running or not, that have the workspace mounted.
func (s *stage) containers() []container {
	s.t.Helper()
	out := docker(s.t, "ps", "--all", "--no-trunc", "--filter", "volume="+s.dir, "--format",
		`{{.ID}} {{.Names}} {{.Label "dev.relevo.installation"}} {{.Label "dev.relevo.worker"}} {{.Label "dev.relevo.run"}} {{.Label "dev.relevo.job"}}`)
	var all []container
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) != 6 {
			s.t.Fatalf("a container lacks labels: %q", line)
		}
		all = append(all, container{f[0], f[1], f[2], f[3], f[4], f[5]})
	}
	return all
}

// container is the one that there is.
func (s *stage) container() container {
	s.t.Helper()
	all := s.containers()
	if len(all) != 1 {
		s.t.Fatalf("containers: %v, want one", all)
	}
	return all[0]
}

// sweepDocker removes what a failed test left on the daemon.
func (s *stage) sweepDocker() {
	for _, c := range s.containers() {
		docker(s.t, "rm", "--force", "--volumes", c.ID)
		for _, n := range networks(s.t, c.Installation) {
			docker(s.t, "network", "rm", n)
		}
	}
}

// networks are those of an installation.
func networks(t *testing.T, installation string) []string {
	t.Helper()
	return strings.Fields(docker(t, "network", "ls", "--quiet", "--filter", "label=dev.relevo.installation="+installation))
}
