// Generate writes what is made of the language's table: the JSON Schemas and
// the reference. It is run in the folder of package language.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/relevo-ci/relevo/shared/workflow/language"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write() error {
	const docs = "../../../docs"
	for _, f := range language.Generated() {
		content, err := f.Make()
		if err != nil {
			return err
		}
		path := filepath.Join(docs, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
