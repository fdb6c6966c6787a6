// The echo program is the function of `check`: it answers a GET with its
// revision's name, and hands each CloudEvent that is posted to it on to the
// address in REPORT, as JSON, so that the check learns of it.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"
)

// A Report says which event reached which revision.
type Report struct {
	Revision string
	Type     string
	Subject  string
	Source   string
	ID       string
	Data     string
}

func main() {
	server := &http.Server{
		Addr:              ":" + cmp.Or(os.Getenv("PORT"), "8080"),
		Handler:           http.HandlerFunc(handle),
		ReadHeaderTimeout: 10 * time.Second,
	}
	slog.Error("stopped", "error", server.ListenAndServe())
	os.Exit(1)
}

func handle(w http.ResponseWriter, r *http.Request) {
	revision := os.Getenv("K_REVISION")
	if r.Method == http.MethodGet {
		fmt.Fprintln(w, "hello from", revision)
		return
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	head := r.Header
	report, err := json.Marshal(Report{
		revision, head.Get("Ce-Type"), head.Get("Ce-Subject"), head.Get("Ce-Source"), head.Get("Ce-Id"), string(data),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	slog.Info("event", "report", string(report))
	answer, err := http.Post(os.Getenv("REPORT"), "application/json", bytes.NewReader(report))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_ = answer.Body.Close()
	// No body: a broker takes a body for a reply event.
	w.WriteHeader(http.StatusAccepted)
}
