// Package front is the front doors of a hosted process, and what works behind
// them. They link what a handler does not need, so that the lean host has none.
package front

import (
	"context"
	"slices"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/doors"
	"github.com/relevo-ci/relevo/deploy/gate"
	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/functions/console"
	"github.com/relevo-ci/relevo/functions/webhook"
	"github.com/relevo-ci/relevo/shared/cron"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/state"
)

// Options are those of a hosted process that serves them too.
func Options(c config.Config) (hosted.Options, error) {
	forges, err := doors.Forges(c.Forges)
	if err != nil {
		return hosted.Options{}, err
	}
	known, err := gate.Open(c, &state.Access{}, &state.Audit{})
	if err != nil {
		return hosted.Options{}, err
	}
	return hosted.Options{
		Next: cron.Next,
		Front: func(d functions.Deps) []fn.Function {
			front := door(c, d, known)
			pages := console.New(&console.Console{API: front.HTTP})
			return slices.Concat([]fn.Function{front, pages}, doors.Functions(d, forges, nil), doors.Telling(c.Telemetry, d), doors.Moving(d.Reports.Logs))
		},
		Cold: func(ctx context.Context, hot logs.Hot) (logs.Store, func() error, error) {
			return doors.Cold(ctx, c.Logs.URL.Reveal(), hot)
		},
		Routes: map[string][]string{"api": api.Routes(), "console": console.Routes(), "webhook": webhook.Routes()},
	}, nil
}

// door is the api, made of what the other functions are made of.
func door(c config.Config, d functions.Deps, known *api.Access) fn.Function {
	known.Store.Committer, known.Audit.Committer, known.Limits = d.Runs.Committer, d.Runs.Committer, d.Limits
	return api.New(&api.API{
		Runs: d.Runs, Pools: d.Pools, Groups: d.Groups, Doors: d.Doors, Routes: d.Routes,
		Logs: d.Reports.Logs, Feed: d.Feed, Views: d.Views, Dead: d.Dead, Wake: d.Wake, Publish: d.Reports.Publish, Token: c.API.Token.Reveal(),
		EventSecrets: c.Events.Secrets(), Access: known,
		Telemetry: api.Telemetry{Retention: c.Telemetry.Retention, Public: c.Public.URL},
	})
}
