package worker

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/workers"
)

// maxReport bounds a report's body: some chunks of log and what goes with them.
const maxReport = 8 << 20

// maxRequest bounds the body of a request that carries no log.
const maxRequest = 64 << 10

// New makes the function: POST /worker/report and POST /worker/secrets, with the
// attempt's token.
func New(s *Reports, key []byte) fn.Function {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /worker/report", func(w http.ResponseWriter, req *http.Request) {
		var r execution.Report
		if !read(w, req, &r, maxReport) || !authentic(w, req, key, r.AttemptRef, r.Worker) {
			return
		}
		reply, err := s.Report(req.Context(), r)
		answer(w, reply, err)
	})
	mux.HandleFunc("POST /worker/secrets", func(w http.ResponseWriter, req *http.Request) {
		var r execution.SecretsRequest
		if !read(w, req, &r, maxRequest) || !authentic(w, req, key, r.AttemptRef, r.Worker) {
			return
		}
		known, err := s.Tell(req.Context(), r)
		w.Header().Set("Cache-Control", "no-store")
		answer(w, known, err)
	})
	return fn.Function{
		Name: name, Context: events.Execution, HTTP: mux,
		Doc: "takes the agents' reports, and tells them what their jobs may know",
	}
}

// read decodes a request's body.
func read(w http.ResponseWriter, req *http.Request, into any, limit int64) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, req.Body, limit)).Decode(into)
	if err != nil {
		http.Error(w, "malformed request: "+err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

func authentic(w http.ResponseWriter, req *http.Request, key []byte, ref events.AttemptRef, id events.WorkerID) bool {
	token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	ok := workers.Authentic(key, ref, id, token)
	if !ok {
		http.Error(w, "the token is not that of the attempt", http.StatusUnauthorized)
	}
	return ok
}

func answer(w http.ResponseWriter, reply any, err error) {
	var body []byte
	if err == nil {
		body, err = json.Marshal(reply)
	}
	if err == nil {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // an agent that is gone asks again
		return
	}
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, ErrGone):
		status = http.StatusGone
	case !fn.KindOf(err).Retry():
		status = http.StatusUnprocessableEntity
	}
	http.Error(w, err.Error(), status)
}
