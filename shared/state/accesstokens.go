package state

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/fn"
)

func tokenPlace(id string) place { return place{accessRoot, "token/" + id} }

// MakeToken makes an API token of a secret that nobody else knows, good for so
// long (0: access.TokenDefault). What is wrong
// with what is asked for is an error of the domain, Invalid; so is one too many.
func (s *Access) MakeToken(ctx context.Context, secret string, ask access.Token, life time.Duration, maker []access.Binding) (access.Token, Result, error) {
	own, err := s.Tokens(ctx, ask.Maker)
	if err != nil {
		return access.Token{}, Result{}, err
	}
	if len(own) >= access.MostOfMaker {
		return access.Token{}, Result{}, fn.Faultf(fn.Exhausted, "state: %s has %d tokens", ask.Maker, len(own))
	}
	var made access.Token
	res, err := apply(ctx, s.docs(), change[access.Token]{
		at: tokenPlace(access.SecretID(secret)), function: "api", cause: action("token/" + access.SecretID(secret)),
		decide: func(f found[access.Token], em *events.Emitter) (bool, error) {
			if f.there() { // a commit whose reply was lost
				made = *f.value
				return false, nil
			}
			var err error
			if made, err = access.NewToken(secret, ask, life, maker, em.Now); err != nil {
				return false, fn.Faultf(fn.Invalid, "%w", err)
			}
			*f.value = made
			em.Emit(events.AuthGranted{
				Principal: made.Maker, Kind: "token", Expires: made.Ends,
				Scope: fmt.Sprintf("%s: %s in %v", made.ID, made.Role, made.Scopes),
			})
			return true, nil
		},
		due: func(v *access.Token, _ time.Time) time.Time { return v.Ends },
	})
	return made, res, err
}

// Token reads the token of a secret; ErrNoAccess where there is none, or it has
// ended. It notes the use, once an hour.
func (s *Access) Token(ctx context.Context, secret string) (access.Token, error) {
	if !access.WellFormed(secret) {
		return access.Token{}, noAccess("token")
	}
	at := tokenPlace(access.SecretID(secret))
	f, err := read[access.Token](ctx, s.docs(), at)
	switch {
	case err != nil:
		return access.Token{}, err
	case !f.there() || !f.value.Proves(secret, f.moment.Now):
		return access.Token{}, noAccess("token")
	}
	if f.value.Use(f.moment.Now) {
		err = s.use(ctx, at)
	}
	return *f.value, err
}

func (s *Access) use(ctx context.Context, at place) error {
	_, err := apply(ctx, s.docs(), change[access.Token]{
		at: at, function: "api",
		decide: func(f found[access.Token], em *events.Emitter) (bool, error) {
			if !f.there() {
				return false, noAccess("token") // it was revoked meanwhile
			}
			return f.value.Use(em.Now), nil
		},
		due: func(v *access.Token, _ time.Time) time.Time { return v.Ends },
	})
	return err
}

// Tokens lists what a maker made, or with an empty maker all, the newest first.
func (s *Access) Tokens(ctx context.Context, maker string) ([]access.Token, error) {
	docs, err := s.Store.List(ctx, accessRoot, "token")
	if err != nil {
		return nil, fmt.Errorf("state: list tokens: %w", err)
	}
	var list []access.Token
	for _, d := range docs {
		t, err := decoded[access.Token](d)
		if err != nil {
			return nil, err
		}
		if maker == "" || t.Maker == maker {
			list = append(list, *t)
		}
	}
	slices.SortFunc(list, func(a, b access.Token) int {
		return cmp.Or(b.Made.Compare(a.Made), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// RevokeToken drops a token: the next request with it is refused. NotFound
// where there is none, or where it is another's than the maker given (empty:
// anybody's).
func (s *Access) RevokeToken(ctx context.Context, id, maker, by string) (Result, error) {
	res, err := end(ctx, s, tokenPlace(id), func(v *access.Token, _ time.Time) (events.Data, bool) {
		return events.AuthRevoked{Principal: v.Maker, Kind: "token", Scope: v.ID, By: by, Reason: "revoked"}, maker == "" || v.Maker == maker
	})
	if err == nil && len(res.Emitted) == 0 {
		err = noAccess("token")
	}
	return res, err
}
