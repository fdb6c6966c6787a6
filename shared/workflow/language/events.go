package language

import (
	"maps"
	"slices"

	"github.com/rhysd/actionlint"
)

// refusedEvents are events of Actions that start nothing here.
var refusedEvents = map[string]string{
	"workflow_call":       "write the jobs where they are used",
	"workflow_run":        "put the jobs into one file and join them by needs",
	"pull_request_target": "a stranger's change must not run with the repository's rights: use pull_request",
	"image_version":       "leave it out: there are no hosted images here",
}

// RefusedEvent gives the way round an event that is known but refused.
func RefusedEvent(name string) (hint string, refused bool) {
	hint, refused = refusedEvents[name]
	return hint, refused
}

// Events lists the events that `on` may name, sorted.
func Events() []string { return events }

// CloudEvent is Relevo's own event: one that any system sent.
const CloudEvent = "cloudevent"

var events = func() []string {
	all := append(slices.Collect(maps.Keys(actionlint.AllWebhookTypes)), CloudEvent)
	slices.Sort(all)
	return slices.DeleteFunc(all, func(n string) bool { return refusedEvents[n] != "" })
}()

// Bare tells whether an event may stand without anything said of it.
func Bare(event string) bool { return event != "schedule" && event != CloudEvent }

// Types lists what `types` of an event may name. None means that it has no
// types, except for repository_dispatch, where they are free.
func Types(event string) (types []string, free bool) {
	return actionlint.AllWebhookTypes[event], event == "repository_dispatch"
}

// Event is the mapping of filters that an event has.
func Event(name string) *Place {
	switch name {
	case "push":
		return Push
	case "pull_request":
		return PullRequest
	case "merge_group":
		return MergeGroup
	case "workflow_dispatch":
		return Dispatch
	case CloudEvent:
		return CloudEvents
	}
	if types, free := Types(name); free || len(types) > 0 {
		return TypedEvent
	}
	return PlainEvent
}

var typesKey = Key{Name: "types", Doc: "Only these activities of the event.", Value: textOrList()}

// filters are lists of patterns, each with a twin that turns it round.
func filters(names ...string) []Key {
	objects := map[string]string{"branches": "branches", "tags": "tags", "paths": "changes of files"}
	var keys []Key
	for _, n := range names {
		keys = append(keys,
			Key{Name: n, Doc: "Only " + objects[n] + " that a pattern matches; a later !pattern takes away again.", Value: textOrList()},
			Key{Name: n + "-ignore", Doc: "Not " + objects[n] + " that a pattern matches.", Value: textOrList()})
	}
	return keys
}

// Push, and the places below, are the filters of one event each.
var Push = &Place{ID: "push", Name: "push", Keys: filters("branches", "tags", "paths")}

// PullRequest has the filters of pull_request.
var PullRequest = &Place{ID: "pullRequest", Name: "pull_request", Keys: append([]Key{typesKey},
	filters("branches", "paths")...)}

// MergeGroup has the filters of merge_group.
var MergeGroup = &Place{ID: "mergeGroup", Name: "merge_group", Keys: append([]Key{typesKey},
	filters("branches")...)}

// TypedEvent has the filter of an event with activities.
var TypedEvent = &Place{ID: "typedEvent", Name: "the event", Keys: []Key{typesKey}}

// PlainEvent is an event without filters.
var PlainEvent = &Place{ID: "plainEvent", Name: "the event"}

// Schedule is one entry of schedule.
var Schedule = &Place{ID: "schedule", Name: "a schedule", Keys: []Key{
	{Name: "cron", Required: true, Doc: "Minute, hour, day of the month, month, day of the week.", Value: text()},
	{Name: "timezone", Doc: "The IANA's name of the time zone that the times are in, e.g. Europe/Madrid; absent: UTC. A time that the clocks leap over comes when they have leapt; of one that comes twice the first counts, unless the hour is a *.", Value: text()},
	{Name: "missed", Support: Own, Doc: "What comes of times that nobody was there for: once (by default) is one run for all of them, skip is none.", Value: words(MissedPolicies...)},
}}

// MissedPolicies are the values of missed.
var MissedPolicies = []string{"once", "skip"}

// CloudEvents is cloudevent.
var CloudEvents = &Place{ID: "cloudevent", Name: "cloudevent", Keys: []Key{
	{Name: "type", Required: true, Doc: "The CloudEvents type; none of Relevo's own.", Value: text()},
	{Name: "source", Doc: "The event's source, exactly; absent: any.", Value: text()},
	{Name: "where", Doc: "What the event must satisfy besides, in the CloudEvents SQL expression language: it reads the event's attributes, not its data.", Value: text()},
}}

// Dispatch is workflow_dispatch.
var Dispatch = &Place{ID: "dispatch", Name: "workflow_dispatch", Keys: []Key{
	{Name: "inputs", Doc: "What whoever starts the run may set, by name.", Value: named(IDPattern, either(ref(Input), Shape{"type": "null"}))},
}}

// InputTypes are the types of inputs.
var InputTypes = []string{"string", "boolean", "number", "choice"}

// Input is one input.
var Input = &Place{ID: "input", Name: "an input", Keys: []Key{
	{Name: "description", Doc: "What people see.", Value: text()},
	{Name: "required", Doc: "Whether it must be given where it has no default.", Value: boolean()},
	{Name: "default", Doc: "Its value where none is given.", Value: text()},
	{Name: "type", Doc: "string (by default), boolean, number or choice.", Value: words(InputTypes...)},
	{Name: "options", Doc: "The values of a choice.", Value: filled(list(text()))},
	{Name: "deprecationMessage", Support: Refused, Doc: "say it in the description"},
}}

func onShape() Shape {
	byName := Shape{}
	for _, n := range Events() {
		switch n {
		case "schedule":
			byName[n] = filled(list(ref(Schedule)))
		case CloudEvent:
			byName[n] = ref(CloudEvents)
		default:
			byName[n] = either(ref(Event(n)), Shape{"type": "null"})
		}
	}
	var bare []string
	for _, n := range Events() {
		if Bare(n) {
			bare = append(bare, n)
		}
	}
	return either(words(bare...), filled(list(words(bare...))), Shape{
		"type": "object", "properties": byName, "additionalProperties": false, "minProperties": 1,
	})
}
