package jobchanged

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// FuzzJob: whatever comes is refused for good, or is a Job with an end that can
// be told in a line, the same each time.
func FuzzJob(f *testing.F) {
	for _, seed := range []string{
		`{"kind":"Job","metadata":{"uid":"u"},"status":{"conditions":[{"type":"Failed","status":"True","reason":"DeadlineExceeded","message":"m"}]}}`,
		`{"kind":"Job","metadata":{"uid":"u","annotations":{"relevo.dev/run":"r"}},"status":{"active":1,"terminating":0}}`,
		`{"kind":"Job","metadata":{"uid":"u"},"status":{"conditions":[{"type":"Complete","status":"True"},{}]}}`,
		`{"kind":"Job","metadata":null,"status":[]}`,
		`{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		j, err := decode(raw)
		if err != nil {
			if fn.KindOf(err).Retry() {
				t.Errorf("%q is to be sent again: %v", raw, err)
			}
			return
		}
		for _, typ := range []events.Type{TypeAdded, TypeUpdated, TypeDeleted} {
			over, news := j.ended(typ)
			if again, _ := j.ended(typ); over != again {
				t.Errorf("%q ended by %+v, then by %+v", raw, over, again)
			}
			if news && (over.condition == "" || over.reason == "" || len(over.reason) > 3*lineMax ||
				strings.ContainsAny(over.reason, "\r\n") || !utf8.ValidString(over.reason)) {
				t.Errorf("%s of %q: %+v", typ, raw, over)
			}
		}
	})
}
