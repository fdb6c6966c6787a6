package main

import (
	"fmt"
	"io"

	"github.com/relevo-ci/relevo/shared/cli"
	"github.com/relevo-ci/relevo/shared/client"
)

// printAnnotations prints what the steps of jobs pointed people at.
func printAnnotations(w io.Writer, jobs []client.Job) {
	before := "\n"
	for _, j := range jobs {
		for _, a := range cli.Annotations(j.Steps) {
			fmt.Fprintf(w, "%s%s: %s\n", before, j.Key, cli.Annotation(a))
			before = ""
		}
	}
}
