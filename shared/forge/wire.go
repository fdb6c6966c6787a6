package forge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/drone/go-scm/scm"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// An id is a number on most forges, a text on Bitbucket Cloud.
type id string

// UnmarshalJSON takes a number, a text or null.
func (i *id) UnmarshalJSON(b []byte) error {
	switch {
	case bytes.Equal(b, []byte("null")):
		*i = ""
	case len(b) > 0 && (b[0] == '-' || b[0] >= '0' && b[0] <= '9'):
		*i = id(b)
	default:
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		*i = id(text)
	}
	return nil
}

// A moment is a time as forges write it. One that cannot be read is none: no
// delivery is refused for it.
type moment struct{ time.Time }

var momentForms = []string{time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700"}

// UnmarshalJSON takes a text in one of several forms, or seconds or milliseconds
// since 1970.
func (m *moment) UnmarshalJSON(b []byte) error {
	m.Time = time.Time{}
	if n, err := strconv.ParseInt(string(b), 10, 64); err == nil && n > 0 {
		if n > 1e11 {
			m.Time = time.UnixMilli(n).UTC()
		} else {
			m.Time = time.Unix(n, 0).UTC()
		}
	}
	var text string
	if json.Unmarshal(b, &text) == nil {
		m.Time = readMoment(text, m.Time)
	}
	if y := m.Year(); y < 1 || y > 9999 { // JSON has no other years
		m.Time = time.Time{}
	}
	return nil
}

func readMoment(text string, otherwise time.Time) time.Time {
	for _, form := range momentForms {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC()
		}
	}
	return otherwise
}

// latest of the times that are known.
func latest(all ...moment) time.Time {
	var last time.Time
	for _, m := range all {
		if m.After(last) {
			last = m.Time
		}
	}
	return last
}

var (
	segment = regexp.MustCompile(`^[A-Za-z0-9_.~{}-]{1,255}$`)
	hexes   = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
	zeros   = regexp.MustCompile(`^0*$`)
)

// repositoryName holds that a name is owner/name, or group/…/name, of nothing
// that has a meaning in an address or a path.
func repositoryName(name string) error {
	parts := strings.Split(name, "/")
	if len(parts) < 2 || len(parts) > 32 {
		return fmt.Errorf("the repository %.300q is not owner/name", name)
	}
	for _, part := range parts {
		if !segment.MatchString(part) || part == "." || part == ".." {
			return fmt.Errorf("the repository %.300q is not owner/name", name)
		}
	}
	return nil
}

// commitName holds that it is a commit's, of at least 7 digits; full says that
// an abbreviation does not do.
func commitName(sha string, full bool) error {
	if !hexes.MatchString(sha) || zeros.MatchString(sha) || full && !scm.IsHash(sha) {
		return fmt.Errorf("%.100q is not a commit", sha)
	}
	return nil
}

// refName holds what git demands of a ref, as far as it could do harm.
func refName(ref string) error {
	bad := ref == "" || len(ref) > 1024 || ref[0] == '/' || ref[len(ref)-1] == '/' ||
		strings.Contains(ref, "..") || strings.Contains(ref, "//") || strings.Contains(ref, "@{") ||
		strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) })
	if bad {
		return fmt.Errorf("%.300q is not the name of a branch or tag", ref)
	}
	return nil
}

// moved gives a push's two commits; none for the zeros that stand for no commit.
func moved(before, after string) (was, is string, err error) {
	for _, sha := range []*string{&before, &after} {
		if zeros.MatchString(*sha) {
			*sha = ""
		} else if err := commitName(*sha, true); err != nil {
			return "", "", err
		}
	}
	if before == "" && after == "" {
		return "", "", fmt.Errorf("it names no commit")
	}
	return before, after, nil
}

func mergeRef(number int) string { return fmt.Sprintf("refs/pull/%d/merge", number) }

// pulled holds what every pull request has; tells says that the forge names its
// commit.
func pulled(p *trigger.Pull, tells bool) error {
	if p.Number <= 0 {
		return fmt.Errorf("the pull request has no number")
	}
	for _, branch := range []string{p.Base, p.Head} {
		if err := refName(branch); err != nil {
			return err
		}
	}
	if p.HeadSHA == "" && !tells {
		return nil
	}
	return commitName(p.HeadSHA, false)
}
