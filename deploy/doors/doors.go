// Package doors makes the front doors beside the api, and what works behind
// them, the same for every host: webhook, delivery-received, status-requested,
// await-requested. They link what a handler does not need, the compiler of
// pipelines and the clients of git forges above all.
package doors

import (
	"context"
	"log/slog"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	awaitrequested "github.com/relevo-ci/relevo/functions/await-requested"
	deliveryreceived "github.com/relevo-ci/relevo/functions/delivery-received"
	statusrequested "github.com/relevo-ci/relevo/functions/status-requested"
	"github.com/relevo-ci/relevo/functions/webhook"
	"github.com/relevo-ci/relevo/shared/arrivals"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
)

// Functions are they, made of what the other functions are made of. log may be
// nil.
func Functions(d functions.Deps, served []forge.Forge, log *slog.Logger) []fn.Function {
	come := &arrivals.Arrivals{Front: d.Doors, Runs: d.Runs}
	return []fn.Function{
		webhook.New(&webhook.Webhook{Forges: served, Front: d.Doors, Publish: d.Reports.Publish, Proxies: d.Proxies, Log: log}),
		deliveryreceived.New(&deliveryreceived.Work{
			Front: d.Doors, Runs: d.Runs, Forges: served, Where: come.Satisfies, Public: d.Public, Wake: d.Wake, Log: log,
			Awaits: func(ctx context.Context, cause events.Envelope, delivery trigger.Delivery, event []byte) (int, []events.Envelope, error) {
				w, err := come.Wake(ctx, "delivery-received", cause, delivery, event)
				return len(w.Jobs), w.Emitted, err
			},
		}),
		statusrequested.New(d.Doors, d.Runs, served, log),
		awaitrequested.New(come),
	}
}
