package deliveryreceived

import (
	"context"
	"slices"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// registered notes what the default branch wants to run by the clock and by
// CloudEvents, where this is a push to it. A push that is not the newest changes
// nothing: the newest one's own delivery does.
func (p *pipelines) registered(ctx context.Context, compiled map[string]*pipeline.Spec) error {
	h := p.h
	branch := h.Repository.DefaultBranch
	if h.Event != "push" || branch == "" || h.Ref != "refs/heads/"+branch {
		return nil
	}
	if !h.Deleted {
		head, err := p.forge.Head(ctx, h.Repository.Name, h.Ref)
		if err != nil {
			return asking(err, "look for the head of %s", h.Ref)
		}
		if head != h.SHA {
			return nil
		}
	}
	var timers []trigger.Timer
	var subscriptions []trigger.Subscription
	for _, file := range sorted(compiled) {
		for _, on := range compiled[file].Triggers {
			switch on.Event {
			case sourceSchedule:
				for _, at := range on.Times {
					timers = append(timers, trigger.Timer{File: file, Cron: at.Cron, Zone: at.Zone, Missed: trigger.Missed(at.Missed), Branch: branch})
				}
			case pipeline.CloudEvent:
				for _, kind := range on.Types {
					subscriptions = append(subscriptions, trigger.Subscription{File: file, Branch: branch, Type: kind, Source: on.Source, Where: on.Where})
				}
			}
		}
	}
	forge, repository, asOf := p.forge.Name(), h.Repository.Name, p.delivery.Received
	if err := p.Front.SetTimers(ctx, forge, repository, asOf, timers); err != nil {
		return err
	}
	return p.Front.SetSubscriptions(ctx, forge, repository, asOf, subscriptions)
}

func sorted(compiled map[string]*pipeline.Spec) []string {
	files := make([]string, 0, len(compiled))
	for file := range compiled {
		files = append(files, file)
	}
	slices.Sort(files)
	return files
}
