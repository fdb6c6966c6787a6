package state

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
)

const awaitPrefix = "await."

// awaitFor is how long an await stays beyond its deadline, which the run itself
// keeps.
const awaitFor = time.Hour

func typeHash(kind string) string { return events.DeriveID("type", kind) }

func awaitPlace(kind string, job events.JobRef) place {
	return place{frontPartition(kind), awaitPrefix + typeHash(kind) + "/" + string(job.Run) + "." + string(job.Job)}
}

// AddAwait lets a job wait. One that is there stays as it is: where its event
// has come already, the job is told again.
func (s *Front) AddAwait(ctx context.Context, function string, cause events.Envelope, a trigger.Await) (Result, error) {
	if a.Approval {
		a.Type = trigger.ApprovalType
	}
	if a.Type == "" {
		return Result{}, fn.Faultf(fn.Invalid, "state: %s awaits no type", a.Subject())
	}
	var again []events.Envelope
	res, err := apply(ctx, s, change[trigger.Await]{
		at: awaitPlace(a.Type, a.JobRef), function: function, cause: cause,
		decide: func(f found[trigger.Await], em *events.Emitter) (bool, error) {
			again = nil
			if f.there() {
				if f.value.Matched != nil {
					em.Owner = ""
					em.Emit(f.value.Event())
					again = em.Emitted()
				}
				return false, nil
			}
			a.Matched, a.Since = nil, em.Now
			*f.value = a
			return true, nil
		},
		due: func(a *trigger.Await, _ time.Time) time.Time { return a.Deadline.Add(awaitFor) },
	})
	if err == nil && len(again) > 0 {
		return Result{Emitted: again, Duplicate: true}, nil
	}
	return res, err
}

// Awaits lists the jobs that wait for a type, those that have waited longest
// first.
func (s *Front) Awaits(ctx context.Context, kind string) ([]trigger.Await, error) {
	docs, err := s.Store.List(ctx, frontPartition(kind), awaitPrefix+typeHash(kind))
	if err != nil {
		return nil, fmt.Errorf("state: list awaits of %s: %w", kind, err)
	}
	list := make([]trigger.Await, 0, len(docs))
	for _, d := range docs {
		a, err := decoded[trigger.Await](d)
		if err != nil {
			return nil, err
		}
		if a.Matched == nil {
			list = append(list, *a)
		}
	}
	slices.SortStableFunc(list, func(a, b trigger.Await) int { return a.Since.Compare(b.Since) })
	return list, nil
}

// Await reads one, matched or not; fn.NotFound.
func (s *Front) Await(ctx context.Context, kind string, job events.JobRef) (trigger.Await, error) {
	f, err := read[trigger.Await](ctx, s, awaitPlace(kind, job))
	if err == nil && !f.there() {
		err = fn.Faultf(fn.NotFound, "state: %s does not await %s", job.Subject(), kind)
	}
	if err != nil {
		return trigger.Await{}, err
	}
	return *f.value, nil
}

// Wake ends the wait of a job, once: the first answer counts. It tells false
// where there is nothing to wake.
func (s *Front) Wake(ctx context.Context, function string, cause events.Envelope, kind string, job events.JobRef, answer trigger.Answer) (Result, bool, error) {
	woken := false
	res, err := apply(ctx, s, change[trigger.Await]{
		at: awaitPlace(kind, job), function: function, cause: cause, once: job.Subject(),
		decide: func(f found[trigger.Await], em *events.Emitter) (bool, error) {
			if woken = f.there() && f.value.Matched == nil; !woken {
				return false, nil
			}
			answer.At = em.Now
			f.value.Matched = &answer
			em.Owner = ""
			em.Emit(f.value.Event())
			return true, nil
		},
		due: func(a *trigger.Await, _ time.Time) time.Time { return a.Deadline.Add(awaitFor) },
	})
	return res, woken, err
}

// RemoveAwait forgets a wait: its job is over.
func (s *Front) RemoveAwait(ctx context.Context, kind string, job events.JobRef) error {
	return s.drop(ctx, awaitPlace(kind, job))
}

const subscriptionPrefix = "subscription."

// subscribed is an index of what a repository subscribes to.
type subscribed struct {
	Types []string  `json:"types,omitempty"`
	AsOf  time.Time `json:"asOf"`
}

// SetSubscriptions replaces the subscriptions of a repository by what a push as
// of that time says. A push that is older than the one they are of changes
// nothing. Broken off in between, it is to be repeated.
func (s *Front) SetSubscriptions(ctx context.Context, forge, repository string, asOf time.Time, list []trigger.Subscription) error {
	byType := map[string][]trigger.Subscription{}
	var types []string
	for _, sub := range list {
		if sub.Type == "" {
			return fn.Faultf(fn.Invalid, "state: %s subscribes to no type", sub.File)
		}
		if byType[sub.Type] == nil {
			types = append(types, sub.Type)
		}
		sub.Forge, sub.Repository = forge, repository
		byType[sub.Type] = append(byType[sub.Type], sub)
	}
	slices.Sort(types)
	all, err := s.index(ctx, forge, repository, asOf, types, true)
	if err != nil || all == nil {
		return err
	}
	for _, kind := range all {
		if err := s.subscribe(ctx, kind, forge+"/"+repository, byType[kind]); err != nil {
			return err
		}
	}
	_, err = s.index(ctx, forge, repository, asOf, types, false)
	return err
}

// index notes the types that a repository subscribes to, beside those of before
// while these are not removed yet. It gives what it noted; nil where the push
// is too old.
func (s *Front) index(ctx context.Context, forge, repository string, asOf time.Time, types []string, beside bool) ([]string, error) {
	var noted []string
	at := place{repositoryPartition(forge, repository), "subscriptions/" + forge + "/" + repository}
	_, err := apply(ctx, s, change[subscribed]{
		at: at, function: "delivery-received",
		decide: func(f found[subscribed], _ *events.Emitter) (bool, error) {
			noted = nil
			if asOf.Before(f.value.AsOf) || !f.there() && len(types) == 0 {
				return false, nil
			}
			all := slices.Clone(types)
			if beside {
				all = append(all, f.value.Types...)
				slices.Sort(all)
				all = slices.Compact(all)
			}
			noted = append([]string{}, all...)
			f.value.Types, f.value.AsOf = all, asOf
			return true, nil
		},
	})
	return noted, err
}

// subscribe sets what a repository has of one type.
func (s *Front) subscribe(ctx context.Context, kind, owner string, list []trigger.Subscription) error {
	at := place{frontPartition(kind), subscriptionPrefix + typeHash(kind) + "/" + owner}
	if len(list) == 0 {
		return s.drop(ctx, at)
	}
	_, err := apply(ctx, s, change[[]trigger.Subscription]{
		at: at, function: "delivery-received",
		decide: func(f found[[]trigger.Subscription], _ *events.Emitter) (bool, error) {
			if slices.Equal(*f.value, list) {
				return false, nil
			}
			*f.value = list
			return true, nil
		},
	})
	return err
}

// Subscriptions lists what CloudEvents of a type start, by repository.
func (s *Front) Subscriptions(ctx context.Context, kind string) ([]trigger.Subscription, error) {
	docs, err := s.Store.List(ctx, frontPartition(kind), subscriptionPrefix+typeHash(kind))
	if err != nil {
		return nil, fmt.Errorf("state: list subscriptions of %s: %w", kind, err)
	}
	var list []trigger.Subscription
	for _, d := range docs {
		some, err := decoded[[]trigger.Subscription](d)
		if err != nil {
			return nil, err
		}
		list = append(list, *some...)
	}
	return list, nil
}
