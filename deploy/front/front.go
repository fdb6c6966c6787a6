// Package front is the front doors of a hosted process. They link what a
// handler does not need, the compiler of pipelines above all, so that the lean
// host has none.
package front

import (
	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Options are those of a hosted process that serves them too.
func Options(c config.Config) hosted.Options {
	return hosted.Options{
		Front:  func(d functions.Deps) []fn.Function { return []fn.Function{door(c, d)} },
		Routes: map[string][]string{"api": api.Routes()},
	}
}

// door is the api, made of what the other functions are made of.
func door(c config.Config, d functions.Deps) fn.Function {
	return api.New(&api.API{
		Runs: d.Runs, Pools: d.Pools, Groups: d.Groups, Routes: d.Routes,
		Logs: d.Reports.Logs, Feed: d.Feed, Dead: d.Dead, Wake: d.Wake, Publish: d.Reports.Publish, Token: c.API.Token.Reveal(),
	})
}
