package agent_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/agent"
)

// TestInstall installs twice, as a container that is started again does.
func TestInstall(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	secret, program, launch := filepath.Join(from, "launch"), filepath.Join(to, "agent"), filepath.Join(to, "launch.json")
	for _, text := range []string{"first", "second"} {
		if err := os.WriteFile(secret, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		if exit := agent.Main([]string{"install", program, secret, launch}, nil, "", nil, &said, &said); exit != agent.ExitDone {
			t.Fatalf("exit %d: %s", exit, &said)
		}
		if got, err := os.ReadFile(launch); err != nil || string(got) != text {
			t.Errorf("the launch holds %q, %v; want %q", got, err, text)
		}
	}
	for path, want := range map[string]os.FileMode{program: 0o555, launch: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want mode %v", path, info, err, want)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(program); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the program is not this one: %d bytes, %v", len(got), err)
	}
	if left, err := filepath.Glob(filepath.Join(to, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestInstallSaysWhatIsWrong(t *testing.T) {
	to := t.TempDir()
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"install"}, agent.ExitUsage, "usage"},
		{[]string{"install", to + "/a", to + "/b"}, agent.ExitUsage, "usage"},
		{[]string{"install", to + "/a", to + "/none", to + "/c"}, agent.ExitTrouble, "none"},
		{[]string{"install", to + "/no/folder"}, agent.ExitTrouble, "no such file"},
	} {
		var said bytes.Buffer
		if exit := agent.Main(c.args, nil, "", nil, &said, &said); exit != c.exit || !strings.Contains(said.String(), c.want) {
			t.Errorf("%q: exit %d, %s", c.args, exit, &said)
		}
	}
}
