package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/shared/agent/command"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// maxFile bounds a file that a step writes for the agent, in bytes.
const maxFile = 4 << 20

// Names of the files that a step finds in its environment, after GITHUB_ and
// RELEVO_.
var fileNames = []string{"OUTPUT", "ENV", "PATH", "STEP_SUMMARY", "STATE"}

// files are what a step writes for the agent.
type files struct{ dir string }

// said is what a step wrote into its files.
type said struct {
	outputs, env []command.Pair
	paths        []string
	summary      string
}

// newFiles makes empty files for a step, and tells their variables.
func newFiles(dir string) (files, map[string]string, error) {
	f := files{dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, nil, err
	}
	env := map[string]string{}
	for _, name := range fileNames {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return f, nil, err
		}
		env["GITHUB_"+name], env["RELEVO_"+name] = file, file
	}
	return f, env, nil
}

// read takes what a step wrote. The error is the step's.
func (f files) read() (s said, err error) {
	var outputs, env, paths, summary []byte
	for _, part := range []struct {
		name string
		into *[]byte
	}{{"OUTPUT", &outputs}, {"ENV", &env}, {"PATH", &paths}, {"STEP_SUMMARY", &summary}} {
		if *part.into, err = readBounded(filepath.Join(f.dir, part.name)); err != nil {
			return s, fmt.Errorf("$GITHUB_%s: %w", part.name, err)
		}
	}
	if s.outputs, err = command.ParsePairs(outputs); err != nil {
		return s, fmt.Errorf("$GITHUB_OUTPUT: %w", err)
	}
	if s.env, err = command.ParsePairs(env); err != nil {
		return s, fmt.Errorf("$GITHUB_ENV: %w", err)
	}
	if s.paths, err = command.ParsePaths(paths); err != nil {
		return s, fmt.Errorf("$GITHUB_PATH: %w", err)
	}
	s.summary = string(summary)
	return s, nil
}

// readBounded reads a file that the step may have removed or put something
// else in the place of.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no longer a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("is larger than %d bytes", maxFile)
	}
	return data, err
}

// shorten cuts a summary to what a report carries, at a letter's border.
func shorten(text string) string {
	if len(text) <= execution.SummaryMax {
		return text
	}
	const cut = "\n…\n"
	end := execution.SummaryMax - len(cut)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + cut
}
