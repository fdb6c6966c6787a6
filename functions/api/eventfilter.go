package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/feed"
)

// eventFilter says which events a reader wants.
type eventFilter struct {
	run        string
	types      map[events.Type]bool // nil: all
	context    string               // with the dots around it; empty: all
	repository string
	sees       func(e feed.Entry) (bool, error)
	origin     func(run string) (origin, error)
}

// seesEntry tells of events whether the caller may see them: those of a run whom
// its project is visible to, those of access who may read the audit, and others
// that are of no project who may see everything.
func (a *API) seesEntry(ctx context.Context) func(feed.Entry) (bool, error) {
	visible, whole := a.visible(ctx), a.allowed(callerOf(ctx), access.View, "")
	audit := a.allowed(callerOf(ctx), access.ReadAudit, "")
	return func(e feed.Entry) (bool, error) {
		switch {
		case strings.HasPrefix(string(e.Type), typePrefix+string(events.Access)+"."):
			return audit, nil
		case e.RunID == "" || whole:
			return whole, nil
		}
		project, err := a.projectOfRun(ctx, events.RunID(e.RunID))
		if err != nil {
			return false, unlessGone(err)
		}
		return visible(project), nil
	}
}

// unlessGone is the error of looking at a run, nil where there is none any more:
// nobody sees what was of it.
func unlessGone(err error) error {
	var p *problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return nil
	}
	return err
}

const typePrefix = "dev.relevo."

func parseFilter(in *eventsInput) (eventFilter, error) {
	f := eventFilter{run: in.Run, repository: in.Repo}
	if in.Run != "" && !isRunID(in.Run) {
		return f, located("query.run", "this is no id of a run")
	}
	for _, t := range in.Types {
		full := events.Type(t)
		if !strings.HasPrefix(t, typePrefix) {
			full = events.Type(typePrefix + t + ".v1")
		}
		if _, ok := events.Find(full); !ok {
			return f, located("query.type", fmt.Sprintf("there is no event of the type %.80q", t))
		}
		if f.types == nil {
			f.types = map[events.Type]bool{}
		}
		f.types[full] = true
	}
	if in.Context != "" {
		f.context = "." + in.Context + "."
	}
	return f, nil
}

// wants tells whether the reader wants an event. An error where that cannot be
// said now.
func (f eventFilter) wants(e feed.Entry) (bool, error) {
	rest, ours := strings.CutPrefix(string(e.Type), strings.TrimSuffix(typePrefix, "."))
	switch {
	case f.run != "" && e.RunID != f.run,
		f.types != nil && !f.types[e.Type],
		f.context != "" && (!ours || !strings.HasPrefix(rest, f.context)),
		f.repository != "" && e.RunID == "":
		return false, nil
	}
	if f.repository != "" {
		from, err := f.origin(e.RunID)
		if err != nil {
			return false, unlessGone(err)
		}
		if from.repository != f.repository {
			return false, nil
		}
	}
	return f.sees(e)
}
