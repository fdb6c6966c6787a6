package docker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	dockerevents "github.com/docker/docker/api/types/events"

	"github.com/relevo-ci/relevo/providers/changes"
	"github.com/relevo-ci/relevo/shared/provider"
)

// The wait before the daemon is asked again, doubled from the one to the other.
const (
	firstWait = 100 * time.Millisecond
	lastWait  = 5 * time.Second
)

// Watch tells of containers that ended or were removed, and of images that did
// not come. It begins with the containers that have ended already. When the
// daemon goes away it connects again, and catches up.
func (p *Provider) Watch(ctx context.Context, tell func(provider.Change)) error {
	sub := p.subscribe()
	defer sub.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go p.listen(ctx, sub)
	return sub.Drain(ctx, tell)
}

// listener is one connection after another to the daemon's events.
type listener struct {
	p    *Provider
	sub  *changes.Subscription
	last int64           // the last event's time, in nanoseconds since 1970
	oom  map[string]bool // containers that ran out of memory
}

func (p *Provider) listen(ctx context.Context, sub *changes.Subscription) {
	l := listener{p: p, sub: sub, oom: map[string]bool{}}
	wait := firstWait
	for ctx.Err() == nil {
		heard := l.once(ctx)
		if heard {
			wait = firstWait
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, lastWait)
	}
}

// once listens until the connection ends, and tells whether there was one.
func (l *listener) once(ctx context.Context) (heard bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	args := l.p.mine("")
	args.Add("type", string(dockerevents.ContainerEventType))
	for _, action := range []dockerevents.Action{dockerevents.ActionDie, dockerevents.ActionOOM, dockerevents.ActionDestroy} {
		args.Add("event", string(action))
	}
	if l.last == 0 {
		l.last = l.now(ctx)
	}
	// Since the last event, for what was removed in between: it is in no list.
	since := fmt.Sprintf("%d.%09d", l.last/1e9, l.last%1e9)
	messages, errs := l.p.cli.Events(ctx, dockerevents.ListOptions{Filters: args, Since: since})
	// It listens now: whatever ended before is listed, what ends after is heard.
	all, err := l.p.list(ctx, "")
	if err != nil {
		return false
	}
	for _, st := range all {
		if !st.Running && st.Preparing == "" {
			l.sub.Tell(provider.Change{Status: st})
		}
	}
	for {
		select {
		case m := <-messages:
			l.take(ctx, m)
		case <-errs:
			return true
		}
	}
}

// now is the daemon's time, in nanoseconds since 1970; its clock need not be
// this machine's.
func (l *listener) now(ctx context.Context) int64 {
	info, err := l.p.cli.Info(ctx)
	if err != nil {
		return 0 // the list will not be had either
	}
	at, err := time.Parse(time.RFC3339Nano, info.SystemTime)
	if err != nil {
		return 0
	}
	return at.UnixNano()
}

// take tells what an event means. Its attributes hold the container's labels.
func (l *listener) take(ctx context.Context, m dockerevents.Message) {
	l.last = max(l.last, m.TimeNano)
	st := l.p.described(m.Actor.Attributes, m.Actor.ID)
	switch m.Action {
	case dockerevents.ActionOOM:
		l.oom[m.Actor.ID] = true
		return
	case dockerevents.ActionDestroy:
		delete(l.oom, m.Actor.ID)
		st.Exit, st.Reason = -1, "its container was removed"
	case dockerevents.ActionDie:
		st.Exit, _ = strconv.Atoi(m.Actor.Attributes["exitCode"])
		var limit int64
		oom := l.oom[m.Actor.ID]
		if c, err := l.p.cli.ContainerInspect(ctx, m.Actor.ID); err == nil { // unless it was removed since
			oom, limit = oom || c.State.OOMKilled, c.HostConfig.Memory
		}
		st.Reason = reason(st.Exit, oom, limit)
	default:
		return
	}
	l.sub.Tell(provider.Change{Status: st})
}
