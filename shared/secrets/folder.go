// Package secrets finds what runs may know: secrets in a folder of files, and
// the credentials with which git reads the repositories of forges.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/relevo-ci/relevo/events"
)

// The bounds of the folder: what is beyond is an error, not left out.
const (
	mostSecret  = 64 << 10 // bytes
	mostSecrets = 1000
)

// Folder is a folder of files as Kubernetes mounts a Secret: a file's name is a
// secret's, and what it holds its value, but for line ends behind it. Files of a
// folder below it that is named <forge>/<owner>/<name> are for the runs of that
// repository alone, and go before those of the same name above.
type Folder struct{ Path string }

// name is that of a secret in an expression; all else is passed over, such as
// the ..data of Kubernetes.
var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Values are the secrets of a run, by name in capital letters, as names differ
// in more than that alone. A folder that is not there has none.
func (f Folder) Values(_ context.Context, t events.Trigger) (map[string]string, error) {
	values := map[string]string{}
	if f.Path == "" {
		return values, nil
	}
	root, err := os.OpenRoot(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return values, nil
	}
	if err != nil {
		return nil, fmt.Errorf("secrets: open the folder: %w", err)
	}
	defer func() { _ = root.Close() }()
	folders := []string{"."}
	if own := t.Forge + "/" + t.Repository; fs.ValidPath(own) { // neither is empty, nor leads elsewhere
		folders = append(folders, own)
	}
	for _, folder := range folders {
		if err := read(root, folder, values); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// read adds the files of one folder.
func read(root *os.Root, folder string, values map[string]string) error {
	entries, err := fs.ReadDir(root.FS(), folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("secrets: list the folder: %w", err)
	}
	for _, e := range entries {
		if !name.MatchString(e.Name()) {
			continue
		}
		value, is, err := file(root, path.Join(folder, e.Name()))
		switch {
		case err != nil:
			return fmt.Errorf("secrets: read %s: %w", e.Name(), err)
		case is:
			values[strings.ToUpper(e.Name())] = value
		}
		if len(values) > mostSecrets {
			return fmt.Errorf("secrets: more than %d", mostSecrets)
		}
	}
	return nil
}

// file reads one; is tells false of a folder.
func file(root *os.Root, name string) (value string, is bool, err error) {
	f, err := root.Open(name)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", false, err
	}
	text, err := io.ReadAll(io.LimitReader(f, mostSecret+1))
	if err == nil && len(text) > mostSecret {
		err = fmt.Errorf("it is larger than %d bytes", mostSecret)
	}
	return strings.TrimRight(string(text), "\r\n"), true, err
}
