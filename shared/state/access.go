package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Access keeps who may do what: grants, users, API tokens and sessions. The zero
// values of its settings mean the defaults.
type Access struct {
	*Committer
	// Life is how long a session lasts: 12 h.
	Life time.Duration

	mu       sync.Mutex
	policy   *access.Policy // as it was read last; never changed
	policyAt time.Time
}

// AccessPrefix begins the names of the access context's partitions.
const AccessPrefix = "access:"

const (
	// accessRoot holds grants, users and tokens.
	accessRoot protocol.Partition = AccessPrefix + "root"
	// accessPartitions spread sessions, so that logins do not contend.
	accessPartitions = 16
	// PolicyAge is how old the grants may be that a request is decided by: those
	// that this process changes count at once, those of others after so long.
	// Users, sessions and tokens are read for each request.
	PolicyAge = 2 * time.Second

	sessionLife = 12 * time.Hour
)

var policyPlace = place{accessRoot, "policy/root"}

func userPlace(id string) place { return place{accessRoot, "user/" + id} }

// ErrNoAccess: there is no such user, session or token, or it has ended.
var ErrNoAccess = errors.New("state: no such access")

func noAccess(what string) error { return fn.Faultf(fn.NotFound, "%w: %s", ErrNoAccess, what) }

// docs reads and changes single documents as the front doors do.
func (s *Access) docs() *Front { return &Front{Committer: s.Committer} }

// action is the cause of what somebody does at once, by a name that nothing
// else has.
func action(name string) events.Envelope { return events.Envelope{ID: "access/" + name} }

// Policy reads all grants.
func (s *Access) Policy(ctx context.Context) (*access.Policy, error) {
	f, err := read[access.Policy](ctx, s.docs(), policyPlace)
	if err != nil {
		return nil, err
	}
	s.keep(f.value, f.moment.Now)
	return f.value, nil
}

func (s *Access) keep(p *access.Policy, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy, s.policyAt = p, at
}

// policyOf is the policy, at most PolicyAge old.
func (s *Access) policyOf(ctx context.Context, now time.Time) (*access.Policy, error) {
	s.mu.Lock()
	p, age := s.policy, now.Sub(s.policyAt)
	s.mu.Unlock()
	if p != nil && age >= 0 && age < PolicyAge {
		return p, nil
	}
	return s.Policy(ctx)
}

// Grant gives a role; given twice it is one.
func (s *Access) Grant(ctx context.Context, g access.Grant) (Result, error) {
	defer s.keep(nil, time.Time{})
	return s.changePolicy(ctx, func(p *access.Policy, em *events.Emitter) (bool, error) {
		g.At = em.Now
		changed, err := p.Set(g)
		if err != nil {
			return false, fn.Faultf(fn.Exhausted, "%w", err)
		}
		if changed {
			em.Emit(events.AuthGranted{Principal: string(g.Subject), Kind: "binding", Scope: said(g.Binding), By: g.By})
		}
		return changed, nil
	})
}

// Revoke takes a role away; NotFound where there is none.
func (s *Access) Revoke(ctx context.Context, subject access.Subject, scope access.Scope, by string) (Result, error) {
	defer s.keep(nil, time.Time{})
	return s.changePolicy(ctx, func(p *access.Policy, em *events.Emitter) (bool, error) {
		g, ok := p.Remove(subject, scope)
		if !ok {
			return false, noAccess("grant")
		}
		em.Emit(events.AuthRevoked{Principal: string(subject), Kind: "binding", Scope: said(g.Binding), By: by, Reason: "taken away"})
		return true, nil
	})
}

func said(b access.Binding) string { return string(b.Role) + " in " + string(b.Scope) }

// changePolicy names its cause by the version that it writes: no two writes have
// the same.
func (s *Access) changePolicy(ctx context.Context, decide func(*access.Policy, *events.Emitter) (bool, error)) (Result, error) {
	return apply(ctx, s.docs(), change[access.Policy]{
		at: policyPlace, function: "api",
		decide: func(f found[access.Policy], em *events.Emitter) (bool, error) {
			em.Cause = action(fmt.Sprintf("policy/%d/%d", f.moment.Epoch, f.doc.Version+1))
			return decide(f.value, em)
		},
	})
}

// LogIn notes what a login says of somebody.
func (s *Access) LogIn(ctx context.Context, c access.Claims) (access.User, error) {
	var user access.User
	_, err := apply(ctx, s.docs(), change[access.User]{
		at: userPlace(access.UserID(c.Issuer, c.Subject)), function: "api",
		decide: func(f found[access.User], em *events.Emitter) (bool, error) {
			f.value.LogIn(c, em.Now)
			user = *f.value
			return true, nil
		},
	})
	return user, err
}

// SignOut ends all sessions of a user, and those of API tokens stay.
func (s *Access) SignOut(ctx context.Context, id, by string) (Result, error) {
	return apply(ctx, s.docs(), change[access.User]{
		at: userPlace(id), function: "api",
		decide: func(f found[access.User], em *events.Emitter) (bool, error) {
			if !f.there() {
				return false, noAccess("user")
			}
			f.value.Out = em.Now
			em.Cause = action(fmt.Sprintf("user/%s/%d", id, f.doc.Version+1))
			em.Emit(events.AuthRevoked{Principal: id, Kind: "session", By: by, Reason: "all sessions were ended"})
			return true, nil
		},
	})
}

// Known is somebody as the store knows them now.
type Known struct {
	User     access.User
	Bindings []access.Binding
}

// Known reads a user and their bindings; extra are grants of the settings.
func (s *Access) Known(ctx context.Context, id string, extra *access.Policy) (Known, error) {
	f, err := read[access.User](ctx, s.docs(), userPlace(id))
	if err != nil {
		return Known{}, err
	}
	if !f.there() {
		return Known{}, noAccess("user")
	}
	p, err := s.policyOf(ctx, f.moment.Now)
	if err != nil {
		return Known{}, err
	}
	subjects := f.value.Subjects()
	return Known{User: *f.value, Bindings: append(extra.Of(subjects), p.Of(subjects)...)}, nil
}

// Key is the installation's key for what browsers keep of a login that is under
// way; fresh becomes it where there is none yet.
func (s *Access) Key(ctx context.Context, fresh []byte) ([]byte, error) {
	type kept struct {
		Key []byte `json:"key"`
	}
	at := place{accessRoot, "key/login"}
	if f, err := read[kept](ctx, s.docs(), at); err != nil || f.there() {
		return f.value.Key, err
	}
	var key []byte
	_, err := apply(ctx, s.docs(), change[kept]{
		at: at, function: "api",
		decide: func(f found[kept], _ *events.Emitter) (bool, error) {
			if f.there() { // of another process
				key = f.value.Key
				return false, nil
			}
			f.value.Key, key = fresh, fresh
			return true, nil
		},
	})
	return key, err
}

// end drops a document with its due entry, and tells so.
func end[T any](ctx context.Context, s *Access, at place, over func(v *T, now time.Time) (events.Data, bool)) (Result, error) {
	defer s.lock(at.partition)()
	return s.retry(ctx, func() (Result, error) {
		f, err := read[T](ctx, s.docs(), at)
		if err != nil || !f.there() {
			return Result{}, err
		}
		told, yes := over(f.value, f.moment.Now)
		if !yes {
			return Result{}, nil
		}
		em := f.emitter(at, "api", action(fmt.Sprintf("%s/%d", at.subject, f.doc.Version+1)))
		em.Emit(told)
		return s.commit(ctx, protocol.Commit{
			Partition: at.partition, Epoch: f.moment.Epoch, Puts: []protocol.Doc{removed(f.doc)},
			Due: []protocol.Due{{Name: at.subject}}, Emitted: em.Emitted(),
		})
	})
}

// Fire drops what has ended by itself.
func (s *Access) Fire(ctx context.Context, p protocol.Partition, name string) (Result, error) {
	at := place{p, name}
	switch kind, _, _ := strings.Cut(name, "/"); kind {
	case "session":
		return end(ctx, s, at, func(v *access.Session, now time.Time) (events.Data, bool) {
			return events.AuthRevoked{Principal: v.User, Kind: "session", Reason: "expired"}, !now.Before(v.Ends)
		})
	case "link":
		return end(ctx, s, at, func(v *access.Session, now time.Time) (events.Data, bool) {
			return events.AuthRevoked{Principal: v.User, Kind: "link", Reason: "expired"}, !now.Before(v.Ends)
		})
	case "token":
		return end(ctx, s, at, func(v *access.Token, now time.Time) (events.Data, bool) {
			return events.AuthRevoked{Principal: v.Maker, Kind: "token", Scope: v.ID, Reason: "expired"}, !now.Before(v.Ends)
		})
	}
	return Result{}, fn.Faultf(fn.Invalid, "state: %q is nothing of access", name)
}
