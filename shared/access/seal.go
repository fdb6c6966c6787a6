package access

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// pending is what a browser keeps of a login that is under way, sealed: it is
// the browser's own, and nobody can make one.
type pending struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"`
	Return   string    `json:"r,omitempty"`
	Ends     time.Time `json:"e"`
}

// pendingLife is how long a login may take.
const pendingLife = 10 * time.Minute

var errPending = errors.New("access: this browser began no login, or too long ago")

// purpose keeps what is sealed here from being taken for something else.
const purpose = "relevo login v1"

func sealer(key []byte) (cipher.AEAD, error) {
	sum := sha256.Sum256(append([]byte(purpose+" "), key...))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		return nil, fmt.Errorf("access: make cipher: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal makes a cookie's value.
func (p pending) seal(key []byte) (string, error) {
	aead, err := sealer(key)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("access: encode login: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, raw, []byte(purpose))), nil
}

// open reads it; errPending where it is none of ours, or too old.
func open(key []byte, text string, now time.Time) (pending, error) {
	var p pending
	aead, err := sealer(key)
	if err != nil {
		return p, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return p, errPending
	}
	plain, err := aead.Open(nil, nil, raw, []byte(purpose))
	if err != nil || json.Unmarshal(plain, &p) != nil || !now.Before(p.Ends) {
		return pending{}, errPending
	}
	return p, nil
}

// NewKey makes a key for what browsers keep.
func NewKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}

// NewSecret makes what a token or a session is known by.
func NewSecret() [32]byte { return [32]byte(NewKey()) }
