package trigger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// Changed are the paths that a happening changed. Without Whole the list is cut
// off or not known: then every filter of paths lets the pipeline run, as it
// does at Actions.
type Changed struct {
	Paths []string
	Whole bool
}

// Decision tells whether a pipeline runs because of a happening.
type Decision struct {
	Run bool
	// Why, for people: which event and filter let it run, or what did not match.
	Why string
}

// Match holds a happening against a pipeline's `on`.
func Match(h Happening, on []pipeline.Trigger, changed Changed) Decision {
	if v, skip := skips(h); skip {
		return v
	}
	var why []string
	for _, t := range on {
		if t.Event != h.Event {
			continue
		}
		if reason := refuses(h, t, changed); reason != "" {
			why = append(why, reason)
			continue
		}
		return Decision{Run: true, Why: "on " + named(h)}
	}
	if len(why) == 0 {
		return Decision{Why: "the pipeline is not for " + h.Event + ": it has " + eventsOf(on)}
	}
	return Decision{Why: strings.Join(why, "; ")}
}

// NeedsPaths tells whether Match would look at what changed: asking the forge
// costs a call. All but the paths must match for that.
func NeedsPaths(h Happening, on []pipeline.Trigger) bool {
	if _, skip := skips(h); skip {
		return false
	}
	return slices.ContainsFunc(on, func(t pipeline.Trigger) bool {
		return t.Event == h.Event && filtersPaths(h, t) && refuses(h, t, Changed{}) == ""
	})
}

// NeedsMessage tells whether Match would look for [skip ci]: a pull request's
// delivery does not tell the message of its head.
func NeedsMessage(h Happening) bool {
	return h.Message == "" && !h.Deleted && (h.Event == "push" || h.Event == "pull_request")
}

func named(h Happening) string {
	if h.Action == "" {
		return h.Event
	}
	return h.Event + " (" + h.Action + ")"
}

func eventsOf(on []pipeline.Trigger) string {
	if len(on) == 0 {
		return "no events"
	}
	names := make([]string, len(on))
	for i, t := range on {
		names[i] = t.Event
	}
	return strings.Join(names, ", ")
}

// skips tells what no pipeline runs for, whatever its filters.
func skips(h Happening) (Decision, bool) {
	if h.Event == "push" && h.Deleted {
		return Decision{Why: plain(h.Ref) + " was deleted"}, true
	}
	if h.Event == "push" || h.Event == "pull_request" {
		if mark := SkipMark(h.Message); mark != "" {
			return Decision{Why: "the commit's message says " + mark}, true
		}
	}
	return Decision{}, false
}

// refuses tells what of a trigger of the same event does not match; empty where
// all does.
func refuses(h Happening, t pipeline.Trigger, changed Changed) string {
	if r := refusesType(h, t); r != "" {
		return r
	}
	if h.Event == "schedule" && h.Action != "" && !slices.ContainsFunc(t.Times, func(at pipeline.Time) bool { return at.Cron == h.Action }) {
		return fmt.Sprintf("the schedule has no %q any more", h.Action)
	}
	if r := refusesRef(h, t); r != "" {
		return r
	}
	if !filtersPaths(h, t) || !changed.Whole {
		return ""
	}
	return refusesPaths(t, changed.Paths)
}

// defaultTypes are those of events that do not run for all of their types.
var defaultTypes = map[string][]string{
	"pull_request":        {"opened", "synchronize", "reopened"},
	"pull_request_target": {"opened", "synchronize", "reopened"},
}

func refusesType(h Happening, t pipeline.Trigger) string {
	types := t.Types
	if len(types) == 0 {
		types = defaultTypes[h.Event]
	}
	if h.Event == "schedule" || len(types) == 0 || slices.Contains(types, h.Action) {
		return ""
	}
	if h.Action == "" {
		return fmt.Sprintf("this %s has no type, and the pipeline is for %s", h.Event, strings.Join(types, ", "))
	}
	return fmt.Sprintf("the type %s of %s is none of %s", h.Action, h.Event, strings.Join(types, ", "))
}

// refusesRef holds branch or tag against their filters. Filters of tags alone
// keep branches out, and the other way round.
func refusesRef(h Happening, t pipeline.Trigger) string {
	branches := len(t.Branches)+len(t.BranchesIgnore) > 0
	tags := len(t.Tags)+len(t.TagsIgnore) > 0
	if !branches && !tags {
		return ""
	}
	if tag, ok := strings.CutPrefix(h.Ref, "refs/tags/"); ok && h.Event == "push" {
		if !tags {
			return "the pipeline is for branches, and " + tag + " is a tag"
		}
		return filtered("the tag", tag, "tags", t.Tags, t.TagsIgnore)
	}
	branch := branchOf(h)
	switch {
	case !branches:
		return "the pipeline is for tags, and " + branch + " is a branch"
	case h.Pull != nil:
		return filtered("the base branch", branch, "branches", t.Branches, t.BranchesIgnore)
	}
	return filtered("the branch", branch, "branches", t.Branches, t.BranchesIgnore)
}

// branchOf is the branch that filters look at: of a pull request its base, of a
// merge group what it is merged into.
func branchOf(h Happening) string {
	if h.Pull != nil {
		return h.Pull.Base
	}
	branch := strings.TrimPrefix(h.Ref, "refs/heads/")
	if queued, ok := strings.CutPrefix(branch, "gh-readonly-queue/"); ok && h.Event == "merge_group" {
		if i := strings.LastIndex(queued, "/"); i > 0 {
			return queued[:i]
		}
	}
	return branch
}

func filtered(what, name, key string, let, ignore []string) string {
	switch {
	case len(let) > 0 && !Filter(let, name):
		return fmt.Sprintf("%s %s matches none of %s: %s", what, name, key, listed(let))
	case len(let) == 0 && Filter(ignore, name):
		return fmt.Sprintf("%s %s is among %s-ignore: %s", what, name, key, listed(ignore))
	}
	return ""
}

func listed(patterns []string) string {
	const most = 8
	if len(patterns) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(patterns[:most], ", "), len(patterns)-most)
	}
	return strings.Join(patterns, ", ")
}

// filtersPaths: those of tags are not looked at.
func filtersPaths(h Happening, t pipeline.Trigger) bool {
	return len(t.Paths)+len(t.PathsIgnore) > 0 && !strings.HasPrefix(h.Ref, "refs/tags/")
}

func refusesPaths(t pipeline.Trigger, paths []string) string {
	if len(t.Paths) > 0 {
		if slices.ContainsFunc(paths, compile(t.Paths).lets) {
			return ""
		}
		return fmt.Sprintf("none of the %d changed files matches paths: %s", len(paths), listed(t.Paths))
	}
	ignored := compile(t.PathsIgnore)
	if len(paths) == 0 || slices.ContainsFunc(paths, func(p string) bool { return !ignored.lets(p) }) {
		return ""
	}
	return fmt.Sprintf("all of the %d changed files are among paths-ignore: %s", len(paths), listed(t.PathsIgnore))
}

// plain is a ref as people say it.
func plain(ref string) string {
	if tag, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		return "the tag " + tag
	}
	return "the branch " + strings.TrimPrefix(ref, "refs/heads/")
}
