package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// TokenPrefix begins every API token, so that scanners for leaked secrets know
// one, and so does the guard.
const TokenPrefix = "rlv_"

// SecretBytes is how much of a token, a session or a link is random.
const SecretBytes = 32

// secretText writes random bytes in small letters and digits.
var secretText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Secret makes the text of a token from random bytes. Its last letters are a
// checksum, so that one which was cut or mistyped is refused without a look at
// the store.
func Secret(random [SecretBytes]byte) string {
	body := TokenPrefix + secretText.EncodeToString(random[:])
	return body + checksum(body)
}

func checksum(body string) string {
	sum := sha256.Sum256([]byte(body))
	return secretText.EncodeToString(sum[:4])
}

const (
	secretLength   = 52 // letters of the random bytes
	checksumLength = 7
)

// WellFormed tells whether a text can be a token's. It says nothing of whether
// there is one.
func WellFormed(text string) bool {
	if len(text) != len(TokenPrefix)+secretLength+checksumLength || !strings.HasPrefix(text, TokenPrefix) {
		return false
	}
	body := text[:len(text)-checksumLength]
	_, err := secretText.DecodeString(body[len(TokenPrefix):])
	return err == nil && checksum(body) == text[len(body):]
}

// Digest is all that is kept of a secret: its SHA-256 in hexadecimal.
func Digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// idLength is how many digits of its digest name a token: they are no secret.
const idLength = 20

// SecretID names what has a secret.
func SecretID(secret string) string { return Digest(secret)[:idLength] }

// matches compares a digest with that of a secret in constant time.
func matches(digest, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(digest), []byte(Digest(secret))) == 1
}

// The bounds of tokens.
const (
	TokenDefault = 90 * 24 * time.Hour
	TokenMost    = 365 * 24 * time.Hour
	// UsedEvery is how coarse the time of the last use is.
	UsedEvery   = time.Hour
	mostName    = 80
	mostScopes  = 20
	MostOfMaker = 100
)

// Token is an API token. What it may do is what its maker may, within its role
// and scopes, each time it is used.
type Token struct {
	ID     string    `json:"id"`
	Digest string    `json:"digest"`
	Name   string    `json:"name"`
	Maker  string    `json:"maker"` // the id of who made it
	Role   Role      `json:"role"`
	Scopes []Scope   `json:"projects"`
	Made   time.Time `json:"made"`
	Ends   time.Time `json:"ends"`
	Used   time.Time `json:"used,omitzero"` // to the hour or so
}

// What is wrong with a token that is asked for.
var (
	ErrName   = fmt.Errorf("access: a token's name has 1 to %d bytes without control characters", mostName)
	ErrScopes = fmt.Errorf("access: a token has 1 to %d projects, or *", mostScopes)
	ErrExpiry = errors.New("access: a token ends within a year, and not before it is made")
	ErrBeyond = errors.New("access: a token may no more than who makes it")
)

// NewToken makes a token of what is asked for, good for so long (0:
// TokenDefault). Its maker's bindings bound it.
func NewToken(secret string, t Token, life time.Duration, maker []Binding, now time.Time) (Token, error) {
	if life == 0 {
		life = TokenDefault
	}
	control := func(c rune) bool { return c < ' ' || c == 0x7f || c == '�' }
	switch {
	case t.Name == "" || len(t.Name) > mostName || strings.ContainsFunc(t.Name, control):
		return Token{}, ErrName
	case len(t.Scopes) == 0 || len(t.Scopes) > mostScopes:
		return Token{}, ErrScopes
	case life < 0 || life > TokenMost:
		return Token{}, ErrExpiry
	}
	for _, s := range t.Scopes {
		if t.Role.rank() == 0 || !RoleWithin(maker, s).AtLeast(t.Role) {
			return Token{}, fmt.Errorf("%w: not %s in %s", ErrBeyond, t.Role, s)
		}
	}
	t.ID, t.Digest, t.Made, t.Ends, t.Used = SecretID(secret), Digest(secret), now, now.Add(life), time.Time{}
	t.Scopes = slices.Clone(t.Scopes)
	return t, nil
}

// Proves tells whether a secret is the token's, and it has not ended.
func (t *Token) Proves(secret string, now time.Time) bool {
	return matches(t.Digest, secret) && now.Before(t.Ends)
}

// Use notes that it was used; false where that need not be written yet.
func (t *Token) Use(now time.Time) bool {
	if now.Sub(t.Used) < UsedEvery {
		return false
	}
	t.Used = now
	return true
}
