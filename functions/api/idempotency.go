package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

const (
	// mostBody bounds a request's body: a pipeline file of 1 MiB, escaped, and a
	// trigger's payload.
	mostBody = 4 << 20
	bodyTime = 30 * time.Second
)

// Keyed is the part of a request that makes it safe to repeat. It is exported,
// as RunInput and JobInput are, for huma, which sees exported parts alone.
type Keyed struct {
	Key string `header:"Idempotency-Key" maxLength:"255" pattern:"^[!-~]+$" doc:"Names the request: sent again with the same key it has the same answer and happens once. With another body it is refused."`
	// Traceparent is the trace that the run is to be part of.
	Traceparent string `header:"Traceparent" maxLength:"255" doc:"A W3C trace context: the run's spans go on from it. What is none is passed over."`
}

// runID is the id of the run that a request asks for: derived from its key, so
// that a repeated request asks for the same run. Such an id tells no time.
func (a *API) runID(ctx context.Context, key string) events.RunID {
	if key == "" {
		return a.NewID()
	}
	caller := callerOf(ctx).ID
	sum := sha256.Sum256([]byte(fmt.Sprintf("run %d:%s %d:%s", len(caller), caller, len(key), key)))
	return events.RunID(ulid.ULID(sum[:16]).String())
}

// accept commits a run and sends it on its way. After it returned without an
// error the run reaches one final state.
func (a *API) accept(ctx context.Context, in Keyed, req events.RunRequested) (events.RunID, error) {
	req.Run = a.runID(ctx, in.Key)
	wanted, err := json.Marshal(req)
	if err != nil {
		return "", fmt.Errorf("api: encode request: %w", err)
	}
	if a.Wake != nil {
		a.Wake() // while the commit is on its way
	}
	res, err := a.Runs.CreateWithin(ctx, name, req, in.Traceparent)
	if err != nil {
		return "", a.fault(ctx, "accept the run", err)
	}
	if res.Duplicate && len(res.Emitted) > 0 && !bytes.Equal(res.Emitted[0].Data, wanted) {
		p := refuse(http.StatusUnprocessableEntity, "the idempotency key was used before, for another request")
		p.Type = client.ProblemKey
		return "", p
	}
	a.publish(ctx, res.Emitted)
	return req.Run, nil
}
