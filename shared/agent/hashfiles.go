package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// hashFiles answers the function of that name: the SHA-256 of the SHA-256s of
// every file below dir that a pattern takes, in order of their paths; empty
// without any. A later pattern that begins with ! takes files out again.
// Symbolic links are not followed.
func hashFiles(dir string, patterns []string) (string, error) {
	var rules []string
	for _, p := range patterns {
		for line := range strings.Lines(p) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				rules = append(rules, line)
			}
		}
	}
	sum := sha256.New()
	found := false
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil || !taken(rules, filepath.ToSlash(name)) {
			return err
		}
		found = true
		one, err := hashFile(file)
		sum.Write(one)
		return err
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("hashFiles: %w", err)
	case !found:
		return "", nil
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func hashFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return sum.Sum(nil), err
}

// taken applies the patterns in order to a path.
func taken(rules []string, name string) bool {
	in := false
	for _, rule := range rules {
		pattern, out := strings.CutPrefix(rule, "!")
		pattern = path.Clean(strings.TrimPrefix(pattern, "./"))
		if matches(strings.Split(pattern, "/"), strings.Split(name, "/")) {
			in = !out
		}
	}
	return in
}

// matches compares a pattern with a path, or the start of one: a pattern that
// names a folder takes all that is in it. ** stands for any number of folders.
func matches(pattern, name []string) bool {
	if len(pattern) == 0 {
		return true
	}
	if pattern[0] == "**" {
		return matches(pattern[1:], name) || len(name) > 0 && matches(pattern, name[1:])
	}
	if len(name) == 0 {
		return false
	}
	ok, err := path.Match(pattern[0], name[0])
	return err == nil && ok && matches(pattern[1:], name[1:])
}
