package workflow

import (
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// triggers reads `on`.
func (r *reader) triggers(n *yaml.Node) []pipeline.Trigger {
	if n == nil {
		return nil
	}
	var triggers []pipeline.Trigger
	switch n.Kind {
	case yaml.ScalarNode, yaml.SequenceNode:
		seen := map[string]bool{}
		for _, item := range r.oneOrList(n, "on") {
			name, ok := r.text(item, "an event of on")
			if !ok || !r.event(item, name) {
				continue
			}
			switch name {
			case "schedule":
				r.fail(item, "write on: {schedule: [{cron: …}]}", "schedule needs its times")
			case language.CloudEvent:
				r.fail(item, "write on: {cloudevent: {type: …}}", "cloudevent needs its type")
			}
			if seen[name] {
				r.fail(item, "", "the event %s stands twice", quote(name))
			}
			seen[name] = true
			triggers = append(triggers, pipeline.Trigger{Event: name})
		}
	default:
		pairs := r.pairs(n, "on")
		if len(n.Content) == 0 {
			r.fail(n, "", "on is empty")
		}
		for _, f := range pairs {
			if r.event(f.key, f.name) {
				triggers = append(triggers, r.trigger(f))
			}
		}
	}
	return triggers
}

// event checks the name of an event.
func (r *reader) event(n *yaml.Node, name string) bool {
	if hint, refused := language.RefusedEvent(name); refused {
		r.fail(n, hint, "the event %s is not supported", name)
		return false
	}
	if name == language.CloudEvent && r.github {
		r.fail(n, "GitHub refuses it: put the file into .relevo", "the event %s is Relevo's own and must not stand in .github/workflows", name)
		return false
	}
	events := language.Events()
	if slices.Contains(events, name) {
		return true
	}
	r.fail(n, didYouMean(name, events), "there is no event %s", quote(name))
	return false
}

// trigger reads an event with its filters.
func (r *reader) trigger(f field) pipeline.Trigger {
	t := pipeline.Trigger{Event: f.name}
	if f.name == "schedule" {
		t.Times = r.schedule(f.value)
		return t
	}
	if kindOf(f.value) == "nothing" && language.Bare(f.name) {
		return t
	}
	place := language.Event(f.name)
	k := r.keyed(f.value, place)
	switch f.name {
	case language.CloudEvent:
		return r.cloudEvent(k)
	case "workflow_dispatch":
		t.Inputs = r.inputs(k.get("inputs"))
		return t
	case "push":
		t.Branches, t.BranchesIgnore = r.filter(k, "branches", actionlint.ValidateRefGlob)
		t.Tags, t.TagsIgnore = r.filter(k, "tags", actionlint.ValidateRefGlob)
		t.Paths, t.PathsIgnore = r.filter(k, "paths", actionlint.ValidatePathGlob)
		return t
	case "pull_request":
		t.Branches, t.BranchesIgnore = r.filter(k, "branches", actionlint.ValidateRefGlob)
		t.Paths, t.PathsIgnore = r.filter(k, "paths", actionlint.ValidatePathGlob)
	case "merge_group":
		t.Branches, t.BranchesIgnore = r.filter(k, "branches", actionlint.ValidateRefGlob)
	}
	if _, typed := place.Find("types"); typed {
		t.Types = r.activities(k.get("types"), f.name)
	}
	return t
}

// filter reads a list of patterns and its -ignore twin.
func (r *reader) filter(k keyed, name string, validate func(string) []actionlint.InvalidGlobPattern) (let, ignore []string) {
	let = r.patterns(k.get(name), name, validate)
	ignore = r.patterns(k.get(name+"-ignore"), name+"-ignore", validate)
	if k.get(name) != nil && k.get(name+"-ignore") != nil {
		r.fail(k.fields[name+"-ignore"].key, "use "+name+" alone, with !pattern for what to leave out", "%s and %s-ignore exclude each other", name, name)
	}
	return let, ignore
}

func (r *reader) patterns(n *yaml.Node, what string, validate func(string) []actionlint.InvalidGlobPattern) []string {
	if n == nil {
		return nil
	}
	var patterns []string
	for _, item := range r.oneOrList(n, what) {
		p, ok := r.word(item, "a pattern of "+what)
		if !ok {
			continue
		}
		if wrong := validate(p); len(wrong) > 0 {
			r.fail(item, "", "the pattern %s is not valid: %s", quote(p), wrong[0].Message)
		}
		patterns = append(patterns, p)
	}
	return patterns
}

// activities reads types.
func (r *reader) activities(n *yaml.Node, event string) []string {
	if n == nil {
		return nil
	}
	known, free := language.Types(event)
	var types []string
	for _, item := range r.oneOrList(n, "types") {
		t, ok := r.word(item, "a type of "+event)
		if !ok {
			continue
		}
		if !free && !slices.Contains(known, t) {
			r.fail(item, "there are "+strings.Join(known, ", "), "%s has no type %s", event, quote(t))
		}
		types = append(types, t)
	}
	return types
}
