package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// errNoShell: the image lacks the shell that every job needs.
var errNoShell = errors.New("the image has no sh: use an image with a shell")

// defaultPath is where programs are looked for without a PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// shells are those with a name, as Actions starts them: {0} is the script.
var shells = map[string]struct{ command, suffix string }{
	"sh":     {"sh -e {0}", ".sh"},
	"bash":   {"bash --noprofile --norc -eo pipefail {0}", ".sh"},
	"python": {"python {0}", ".py"},
	"pwsh":   {"pwsh -command . '{0}'", ".ps1"},
}

// shellCommand chooses how to run a script. Without a shell named it is what
// Actions takes: bash where there is one, and sh in a job with a container of
// its own.
func shellCommand(shell string, inContainer bool, path string) (command, suffix string) {
	if s, ok := shells[shell]; ok {
		return s.command, s.suffix
	}
	if shell != "" {
		return shell, ""
	}
	if _, err := lookPath("bash", path); err == nil && !inContainer {
		return "bash -e {0}", ".sh"
	}
	return shells["sh"].command, ".sh"
}

// splitCommand cuts a shell's command into words at spaces, quotes regarded,
// and puts the script in.
func splitCommand(command, script string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	begun := false
	for _, r := range command + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if begun {
				words = append(words, strings.ReplaceAll(word.String(), "{0}", script))
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 || len(words) == 0 || !strings.Contains(command, "{0}") {
		return nil, fmt.Errorf("shell: %q is not sh, bash, python or pwsh, nor a command with {0} for the script", command)
	}
	return words, nil
}

// lookPath finds a program in the folders of a PATH that is not the agent's.
func lookPath(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	for _, dir := range filepath.SplitList(path) {
		if file := filepath.Join(dir, name); filepath.IsAbs(file) && executable(file) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: %w in %s", name, os.ErrNotExist, path)
}

func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return &os.PathError{Op: "run", Path: file, Err: syscall.EISDIR}
	case info.Mode()&0o111 == 0:
		return &os.PathError{Op: "run", Path: file, Err: os.ErrPermission}
	}
	return nil
}
