package knative

import (
	"context"
	"errors"
	"slices"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Direct hands events to the services of functions round the broker: the clock
// heals with it what the broker lost or refused.
type Direct struct {
	// Functions is the table that tells who subscribes to what.
	Functions []fn.Function
	// Address is where a function is posted to, by its name.
	Address func(function string) string
	// Sender sends; one without overrides where nil.
	Sender *Sender
	// Published hears of each event that a function replied with, by id; may be
	// nil.
	Published func(id string)
	// Others publishes what a function replied with in a language of others, whom
	// the broker alone knows; nil: it is left to the outbox.
	Others func(ctx context.Context, es []events.Envelope) error
}

// directDepth bounds how far replies are followed; the clock comes again.
const directDepth = 16

// Deliver posts e to every function that subscribes to it, and what they reply
// to the next. It returns when all of them have answered, with their errors. A
// function that has a sink sends there instead, through the broker.
func (d *Direct) Deliver(ctx context.Context, e events.Envelope) error {
	return d.deliver(ctx, e, 0)
}

func (d *Direct) deliver(ctx context.Context, e events.Envelope, depth int) error {
	sender := d.Sender
	if sender == nil {
		sender = &Sender{}
	}
	var errs []error
	for _, f := range d.Functions {
		if !f.Takes(e.Type) {
			continue
		}
		reply, err := sender.Ask(ctx, d.Address(f.Name), e)
		errs = append(errs, err)
		if reply == nil || depth == directDepth {
			continue
		}
		if !d.subscribed(reply.Type) {
			if d.Others != nil {
				errs = append(errs, d.Others(ctx, []events.Envelope{*reply}))
			}
			continue
		}
		if d.Published != nil {
			d.Published(reply.ID)
		}
		errs = append(errs, d.deliver(ctx, *reply, depth+1))
	}
	return errors.Join(errs...)
}

// subscribed tells that a function is for events of a type, not just for all.
func (d *Direct) subscribed(t events.Type) bool {
	return slices.ContainsFunc(d.Functions, func(f fn.Function) bool { return f.On == t || slices.Contains(f.Also, t) })
}
