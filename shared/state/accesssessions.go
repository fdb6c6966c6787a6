package state

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// sessionPlace is where a session stands, by its id.
func sessionPlace(id string) place {
	h := fnv.New32a()
	h.Write([]byte(id))
	return place{protocol.Partition(fmt.Sprintf("%s%02d", AccessPrefix, h.Sum32()%accessPartitions)), "session/" + id}
}

// Open begins a session of a secret that nobody else knows, for a user or
// access.Local.
func (s *Access) Open(ctx context.Context, secret, user string) (access.Session, Result, error) {
	life := s.Life
	if life <= 0 {
		life = sessionLife
	}
	var opened access.Session
	res, err := apply(ctx, s.docs(), change[access.Session]{
		at: sessionPlace(access.Digest(secret)), function: "api", cause: action("session/" + access.SecretID(secret)),
		decide: func(f found[access.Session], em *events.Emitter) (bool, error) {
			if f.there() { // a commit whose reply was lost
				opened = *f.value
				return false, nil
			}
			*f.value = access.NewSession(secret, user, em.Now, life)
			opened = *f.value
			em.Emit(events.AuthGranted{Principal: user, Kind: "session", Scope: "console", Expires: opened.Ends})
			return true, nil
		},
		due: func(v *access.Session, _ time.Time) time.Time { return v.Ends },
	})
	return opened, res, err
}

// Session reads the session of a secret; ErrNoAccess where there is none, or it
// has ended.
func (s *Access) Session(ctx context.Context, secret string) (access.Session, error) {
	f, err := read[access.Session](ctx, s.docs(), sessionPlace(access.Digest(secret)))
	switch {
	case err != nil:
		return access.Session{}, err
	case !f.there() || !f.value.Proves(secret, f.moment.Now):
		return access.Session{}, noAccess("session")
	}
	return *f.value, nil
}

// Close ends the session of a secret. One that is gone stays so.
func (s *Access) Close(ctx context.Context, secret string) (Result, error) {
	id := access.Digest(secret)
	return end(ctx, s, sessionPlace(id), func(v *access.Session, _ time.Time) (events.Data, bool) {
		return events.AuthRevoked{Principal: v.User, Kind: "session", By: v.User, Reason: "signed out"}, true
	})
}

// linkLife is how long a one-time link is good for.
const linkLife = 10 * time.Minute

func linkPlace(code string) place {
	at := sessionPlace(access.Digest("link " + code))
	at.subject = "link/" + access.Digest("link "+code)
	return at
}

// MakeLink keeps a one-time link that lets a browser in as a user, by a code that
// nobody else knows. It tells when it ends.
func (s *Access) MakeLink(ctx context.Context, code, user string) (time.Time, Result, error) {
	var ends time.Time
	res, err := apply(ctx, s.docs(), change[access.Session]{
		at: linkPlace(code), function: "api", cause: action("link/" + access.SecretID(code)),
		decide: func(f found[access.Session], em *events.Emitter) (bool, error) {
			if f.there() { // a commit whose reply was lost
				ends = f.value.Ends
				return false, nil
			}
			*f.value = access.NewSession("link "+code, user, em.Now, linkLife)
			ends = f.value.Ends
			em.Emit(events.AuthGranted{Principal: user, Kind: "link", Scope: "console", Expires: ends})
			return true, nil
		},
		due: func(v *access.Session, _ time.Time) time.Time { return v.Ends },
	})
	return ends, res, err
}

// TakeLink uses a link up, and gives whom it lets in: of those who try at once
// one. NotFound where there is none (any more).
func (s *Access) TakeLink(ctx context.Context, code string) (string, Result, error) {
	user := ""
	res, err := end(ctx, s, linkPlace(code), func(v *access.Session, now time.Time) (events.Data, bool) {
		user = v.User
		return events.AuthRevoked{Principal: user, Kind: "link", Reason: "used"}, v.Proves("link "+code, now)
	})
	if err == nil && len(res.Emitted) == 0 { // also where another was quicker
		return "", res, noAccess("link")
	}
	return user, res, err
}
