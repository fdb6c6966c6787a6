// Command empty is a net/http program that does nothing: the reference for how
// fast a function host can start.
package main

import (
	"net/http"
	"os"
)

func main() {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	if err := http.ListenAndServe(os.Args[1], ok); err != nil {
		os.Exit(1)
	}
}
