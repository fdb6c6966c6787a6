package worker

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/workers"
)

// maxReport bounds a report's body: some chunks of log and what goes with them.
const maxReport = 8 << 20

// New makes the function: POST /worker/report with the attempt's token.
func New(s *Reports, key []byte) fn.Function {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /worker/report", func(w http.ResponseWriter, req *http.Request) {
		var r execution.Report
		body := http.MaxBytesReader(w, req.Body, maxReport)
		if err := json.NewDecoder(body).Decode(&r); err != nil {
			http.Error(w, "malformed report: "+err.Error(), http.StatusBadRequest)
			return
		}
		token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
		if !workers.Authentic(key, r.AttemptRef, r.Worker, token) {
			http.Error(w, "the token is not that of the attempt", http.StatusUnauthorized)
			return
		}
		reply, err := s.Report(req.Context(), r)
		if err != nil {
			status := http.StatusServiceUnavailable
			if !fn.KindOf(err).Retry() {
				status = http.StatusUnprocessableEntity
			}
			http.Error(w, err.Error(), status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(reply)
	})
	return fn.Function{
		Name: name, Context: events.Execution, HTTP: mux,
		Doc: "takes the agents' reports",
	}
}
