package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The modes of what is installed. The program is the same for everybody; the
// files hold the attempt's token.
const (
	programMode = 0o555
	secretMode  = 0o600
)

// install copies this program to path, and each file of pairs (from, to, from,
// to …) for its user alone. It is for workers whose image cannot hold the
// agent: a container that has it puts it where theirs looks. What is there is
// replaced in one step, so that it may be done twice.
func install(path string, pairs []string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("agent: install: %w", err)
	}
	if err := copyFile(self, path, programMode); err != nil {
		return fmt.Errorf("agent: install: %w", err)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := copyFile(pairs[i], pairs[i+1], secretMode); err != nil {
			return fmt.Errorf("agent: install: %w", err)
		}
	}
	return nil
}

// copyFile copies a file; nobody sees half of it, or with another mode.
func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(filepath.Dir(to), ".install-*") // for its user alone
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Chmod(mode), out.Close()); err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		_ = os.Remove(out.Name())
	}
	return err
}
