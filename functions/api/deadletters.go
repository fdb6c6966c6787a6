package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/fn"
)

// registerDeadLetters adds the operations on what could not be delivered.
func (a *API) registerDeadLetters(h huma.API) {
	huma.Register(h, operation(h, "listDeadLetters", http.MethodGet, "/v1/deadletters", "List events that could not be delivered, newest first"), a.listDeadLetters)
	huma.Register(h, operation(h, "showDeadLetter", http.MethodGet, "/v1/deadletters/{id}", "Show one with its event"), a.showDeadLetter)
	huma.Register(h, operation(h, "replayDeadLetter", http.MethodPost, "/v1/deadletters/{id}/replay", "Send it again"), a.replayDeadLetter)
	discard := operation(h, "discardDeadLetter", http.MethodDelete, "/v1/deadletters/{id}", "Drop it for good")
	discard.DefaultStatus = http.StatusNoContent
	huma.Register(h, discard, a.discardDeadLetter)
}

type deadLettersInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
}

type deadLettersOutput struct {
	Body client.DeadLetters
}

type deadLetterInput struct {
	ID string `path:"id" maxLength:"64"`
}

type deadLetterOutput struct {
	Body client.DeadLetter
}

var errNoLetters = refuse(http.StatusServiceUnavailable, "this server keeps no dead letters")

func (a *API) listDeadLetters(ctx context.Context, in *deadLettersInput) (*deadLettersOutput, error) {
	if a.Dead == nil {
		return nil, errNoLetters
	}
	list, err := a.Dead.List(ctx, in.Limit)
	if err != nil {
		return nil, a.fault(ctx, "list the dead letters", err)
	}
	out := &deadLettersOutput{Body: client.DeadLetters{Letters: []client.DeadLetter{}, Kept: list.Kept, Dropped: list.Dropped}}
	for _, l := range list.Letters {
		out.Body.Letters = append(out.Body.Letters, letterView(l))
	}
	return out, nil
}

func (a *API) showDeadLetter(ctx context.Context, in *deadLetterInput) (*deadLetterOutput, error) {
	if a.Dead == nil {
		return nil, errNoLetters
	}
	l, err := a.Dead.Letter(ctx, in.ID)
	if err != nil {
		return nil, a.letterFault(ctx, "look at the dead letter", err)
	}
	out := &deadLetterOutput{Body: letterView(l)}
	out.Body.Whole = l.Event
	return out, nil
}

// replayDeadLetter sends an event again. Asked again it does nothing more,
// unless the event failed again.
func (a *API) replayDeadLetter(ctx context.Context, in *deadLetterInput) (*deadLetterOutput, error) {
	if a.Dead == nil {
		return nil, errNoLetters
	}
	l, err := a.Dead.Replay(ctx, in.ID)
	if errors.Is(err, deadletter.ErrRefused) {
		return nil, refuse(http.StatusConflict, "it failed again: %s", l.Error)
	}
	if err != nil {
		return nil, a.letterFault(ctx, "send the dead letter again", err)
	}
	return &deadLetterOutput{Body: letterView(l)}, nil
}

func (a *API) discardDeadLetter(ctx context.Context, in *deadLetterInput) (*struct{}, error) {
	if a.Dead == nil {
		return nil, errNoLetters
	}
	if err := a.Dead.Discard(ctx, in.ID); err != nil {
		return nil, a.letterFault(ctx, "drop the dead letter", err)
	}
	return nil, nil
}

func (a *API) letterFault(ctx context.Context, doing string, err error) error {
	if fn.KindOf(err) == fn.NotFound {
		return refuse(http.StatusNotFound, "there is no such dead letter")
	}
	return a.fault(ctx, doing, err)
}

func letterView(l deadletter.Letter) client.DeadLetter {
	at := l.Attributes()
	v := client.DeadLetter{
		ID: l.ID, Event: at.ID, Source: at.Source, Type: at.Type, Subject: at.Subject, Run: at.RunID,
		Destination: l.Destination, Code: l.Code, Reason: l.Error, First: l.First, Last: l.Last, Count: l.Count,
	}
	if !l.Replayed.IsZero() {
		v.Replayed = &l.Replayed
	}
	return v
}
