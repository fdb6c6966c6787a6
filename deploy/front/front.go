// Package front is the front doors of a hosted process, and what works behind
// them. They link what a handler does not need, the compiler of pipelines and
// the clients of git forges above all, so that the lean host has none.
package front

import (
	"context"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/forges"
	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/functions/api"
	awaitrequested "github.com/relevo-ci/relevo/functions/await-requested"
	deliveryreceived "github.com/relevo-ci/relevo/functions/delivery-received"
	statusrequested "github.com/relevo-ci/relevo/functions/status-requested"
	"github.com/relevo-ci/relevo/functions/webhook"
	"github.com/relevo-ci/relevo/shared/arrivals"
	"github.com/relevo-ci/relevo/shared/cron"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
)

// Options are those of a hosted process that serves them too.
func Options(c config.Config) (hosted.Options, error) {
	served, err := forges.Open(c.Forges)
	if err != nil {
		return hosted.Options{}, err
	}
	return hosted.Options{
		Next:  cron.Next,
		Front: func(d functions.Deps) []fn.Function { return Doors(c, d, served) },
		Routes: map[string][]string{
			"api": api.Routes(), "webhook": webhook.Routes(),
		},
	}, nil
}

// Doors are the functions, made of what the others are made of.
func Doors(c config.Config, d functions.Deps, served []forge.Forge) []fn.Function {
	come := &arrivals.Arrivals{Front: d.Doors, Runs: d.Runs}
	return []fn.Function{
		api.New(&api.API{
			Runs: d.Runs, Pools: d.Pools, Groups: d.Groups, Routes: d.Routes, Doors: d.Doors,
			Logs: d.Reports.Logs, Feed: d.Feed, Dead: d.Dead, Wake: d.Wake, Publish: d.Reports.Publish, Token: c.API.Token.Reveal(),
		}),
		webhook.New(&webhook.Webhook{Forges: served, Front: d.Doors, Publish: d.Reports.Publish}),
		deliveryreceived.New(Work(d, come, served)),
		statusrequested.New(d.Doors, served, nil),
		awaitrequested.New(come),
	}
}

// Work is what delivery-received is made of.
func Work(d functions.Deps, come *arrivals.Arrivals, served []forge.Forge) *deliveryreceived.Work {
	return &deliveryreceived.Work{
		Front: d.Doors, Runs: d.Runs, Forges: served, Where: come.Satisfies, Public: d.Public, Wake: d.Wake,
		Awaits: func(ctx context.Context, cause events.Envelope, delivery trigger.Delivery, event []byte) (int, []events.Envelope, error) {
			w, err := come.Wake(ctx, "delivery-received", cause, delivery, event)
			return len(w.Jobs), w.Emitted, err
		},
	}
}
