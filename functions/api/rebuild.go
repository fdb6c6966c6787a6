package api

import (
	"context"
	"errors"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/state"
)

type rebuildInput struct {
	After string `query:"after" maxLength:"1400" doc:"Next of the step before; empty: from the start."`
}

type rebuildOutput struct {
	Body client.Rebuilt
}

// rebuildFor is how long one request goes on: no host cuts it off, and whoever
// asked sees how far it has come.
const rebuildFor = 3 * time.Second

// rebuildLists does some of a rebuild of the read models. It may be asked for
// again, from anywhere, by several at once.
func (a *API) rebuildLists(ctx context.Context, in *rebuildInput) (*rebuildOutput, error) {
	if a.Views == nil {
		return nil, errNoViews
	}
	out := &rebuildOutput{}
	out.Body.Next = in.After
	for began := time.Now(); ; {
		step, err := a.Views.Rebuild(ctx, out.Body.Next)
		if errors.Is(err, state.ErrNoPart) {
			return nil, located("query.after", "this is no next of a step")
		}
		if err != nil {
			return nil, a.fault(ctx, "rebuild the lists", err)
		}
		out.Body = client.Rebuilt{
			Next: step.Next, Done: step.Done, Of: step.Of,
			Rows: out.Body.Rows + step.Rows, Dropped: out.Body.Dropped + step.Dropped, Skipped: out.Body.Skipped + step.Skipped,
		}
		if step.Next == "" || time.Since(began) > rebuildFor {
			return out, nil
		}
	}
}
