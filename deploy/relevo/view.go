package main

import (
	"cmp"
	"os"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/cli"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// newView shows a run as a live tree on a terminal, else as plain lines.
func newView(spec *pipeline.Spec, req events.RunRequested) cli.View {
	screen := cli.ScreenOf(os.Stdout, cli.Environment{
		Term: os.Getenv("TERM"), NoColor: os.Getenv("NO_COLOR"),
		Locale: cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")),
	})
	return cli.New(os.Stdout, screen, cli.PlanOf(req.Run, spec))
}
