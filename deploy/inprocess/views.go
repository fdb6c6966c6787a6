package inprocess

import (
	"context"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/view"
)

// views are the host's read models, nil without any, and what drops all that
// there is of a run which is about to be retired.
func (h *Host) views() (*state.Views, func(context.Context, events.RunID) error) {
	o := &h.opts
	if o.View == nil && o.API != nil {
		o.View = view.NewMemory()
	}
	if o.View == nil {
		return nil, o.Logs.Remove
	}
	v := &state.Views{Store: o.Store, View: o.View}
	return v, v.Forgetting(o.Logs.Remove)
}

// fillViews makes the read models of a store that has none: one that was begun
// before there were any.
func (h *Host) fillViews() {
	v := h.Deps.Views
	counts, err := v.View.Count(h.ctx, view.Runs, view.All)
	if err == nil && counts[0] > 0 {
		return
	}
	for at := ""; err == nil; {
		step, failed := v.Rebuild(h.ctx, at)
		if err = failed; err == nil {
			if at = step.Next; at == "" {
				return
			}
		}
	}
	if h.ctx.Err() == nil {
		h.log.Warn("lists lack what was there before; relevo rebuild brings it", "error", err)
	}
}
