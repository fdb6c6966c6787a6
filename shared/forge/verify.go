package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
)

// A door is where the forge's deliveries come in.
type door struct {
	name    string
	kind    kind
	secrets []string
}

// A mark is how a forge shows that a delivery is its own.
type mark struct {
	header string
	prefix string // before the hexadecimal HMAC-SHA256 of the body
	plain  bool   // the secret itself is sent, and no HMAC
}

// Name is the forge's in the settings.
func (d door) Name() string { return d.name }

// Verify implements Forge. It looks at the body as bytes: nothing of a stranger's
// is parsed. GitHub's older X-Hub-Signature (SHA-1) does not count.
func (d door) Verify(header http.Header, body []byte) error {
	given := header.Values(d.kind.mark.header)
	if len(given) == 0 || len(given) == 1 && given[0] == "" {
		return ErrUnsigned
	}
	if len(given) > 1 {
		return ErrSignature // which of them a proxy looked at is not known
	}
	var good int
	for _, secret := range d.secrets {
		good |= d.kind.mark.matches(given[0], secret, body)
	}
	if good != 1 {
		return ErrSignature
	}
	return nil
}

// matches gives 1 where the given mark is the secret's. The time that it takes
// tells nothing of the secret, not even its length.
func (m mark) matches(given, secret string, body []byte) int {
	if m.plain {
		a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(secret))
		return subtle.ConstantTimeCompare(a[:], b[:])
	}
	text, ok := strings.CutPrefix(given, m.prefix)
	sum, err := hex.DecodeString(text)
	if !ok || err != nil {
		return 0
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return subtle.ConstantTimeCompare(sum, mac.Sum(nil))
}
