package workers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"

	"github.com/relevo-ci/relevo/events"
)

// Token proves an attempt's worker to the control plane. It is derived, so
// that nothing needs to be stored, and of no use once the attempt is over.
func Token(key []byte, ref events.AttemptRef, w events.WorkerID) string {
	m := hmac.New(sha256.New, key)
	for _, s := range []string{string(ref.Run), string(ref.Job), strconv.Itoa(ref.Attempt), ref.Fence.String(), string(w)} {
		m.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// Authentic tells, in constant time, whether a token is that of the worker.
func Authentic(key []byte, ref events.AttemptRef, w events.WorkerID, token string) bool {
	return hmac.Equal([]byte(Token(key, ref, w)), []byte(token))
}
