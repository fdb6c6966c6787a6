// Command generate writes the OpenAPI document of the REST interface.
package main

import (
	"fmt"
	"os"

	"github.com/relevo-ci/relevo/functions/api"
)

func main() {
	doc, err := api.OpenAPI()
	if err == nil {
		err = os.WriteFile(os.Args[1], doc, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
