package access

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The callers that are no users of a login.
const (
	// Local is whoever is on this machine, in local mode.
	Local = "local"
	// System shows the token of the settings.
	System = "token"
	// Signature is a sender of events who signs them.
	Signature = "signature"
)

// What a login fails for, besides what the provider or the network does.
var (
	// ErrAgain: the answer is to no login of this browser, or one too long ago.
	ErrAgain = errors.New("access: this is the answer to no login of this browser")
	// ErrRefused: the provider, or what it said, does not let them in.
	ErrRefused = errors.New("access: the login was refused")
)

// Claims are what a login says of somebody.
type Claims struct {
	Issuer  string
	Subject string
	Name    string
	// Email counts only where the issuer verified it.
	Email    string
	Verified bool
	Groups   []string
}

// mostGroups bounds the groups that are kept of somebody.
const mostGroups = 500

// User is somebody who logged in.
type User struct {
	ID     string    `json:"id"`
	Issuer string    `json:"issuer"`
	Sub    string    `json:"sub"`
	Name   string    `json:"name,omitempty"`
	Email  string    `json:"email,omitempty"` // verified
	Groups []string  `json:"groups,omitempty"`
	Seen   time.Time `json:"seen"` // the last login
	// Out is when all sessions until then were ended.
	Out time.Time `json:"out,omitzero"`
}

// UserID derives an id from what an issuer promises never to give to another.
func UserID(issuer, subject string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(issuer)) + ":" + issuer + " " + subject))
	return "u-" + secretText.EncodeToString(sum[:15])
}

// LogIn takes over what a login says: the groups of the one before are gone.
func (u *User) LogIn(c Claims, now time.Time) {
	u.ID, u.Issuer, u.Sub, u.Seen = UserID(c.Issuer, c.Subject), c.Issuer, c.Subject, now
	u.Name, u.Email = clean(c.Name), ""
	if c.Verified && strings.Contains(c.Email, "@") { // else it might be another's id
		u.Email = strings.ToLower(clean(c.Email))
	}
	u.Groups = slices.Clone(c.Groups[:min(len(c.Groups), mostGroups)])
}

// clean keeps what a person is called to one line of a bounded length.
func clean(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '�' {
			return -1
		}
		return c
	}, s)
	if len(s) > mostSubject {
		s = strings.ToValidUTF8(s[:mostSubject], "")
	}
	return s
}

// Called is how people know the user. A name alone, which anybody may choose,
// comes with the id.
func (u *User) Called() string {
	switch {
	case u.Email != "":
		return u.Email
	case u.Name != "":
		return u.Name + " (" + u.ID + ")"
	}
	return u.ID
}

// Subjects are all that bindings may name the user by.
func (u *User) Subjects() []Subject {
	list := []Subject{UserSubject(u.ID)}
	if u.Email != "" {
		list = append(list, UserSubject(u.Email))
	}
	for _, g := range u.Groups {
		list = append(list, GroupSubject(g))
	}
	return list
}

// Session is a browser that somebody logged in with. Its id is the digest of
// what its cookie holds.
type Session struct {
	ID   string    `json:"id"`
	User string    `json:"user"` // a user's id, or Local
	Made time.Time `json:"made"`
	Ends time.Time `json:"ends"`
}

// NewSession makes the session of a secret.
func NewSession(secret, user string, now time.Time, life time.Duration) Session {
	return Session{ID: Digest(secret), User: user, Made: now, Ends: now.Add(life)}
}

// Proves tells whether a secret is the session's, and it has not ended.
func (s *Session) Proves(secret string, now time.Time) bool {
	return matches(s.ID, secret) && now.Before(s.Ends)
}

// Forgery is what a page of a session must send with what changes something: it
// follows from the session's secret, which no page of others knows.
func Forgery(secret string) string { return Digest("csrf " + secret) }
