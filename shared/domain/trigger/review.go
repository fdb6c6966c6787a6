package trigger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// PullRef names a pull request of a forge.
type PullRef struct {
	Forge      string `json:"forge"`
	Repository string `json:"repository"`
	Number     int    `json:"number"`
}

// Subject is pull/<forge>/<repository>/<number>.
func (r PullRef) Subject() string {
	return "pull/" + r.Forge + "/" + r.Repository + "/" + strconv.Itoa(r.Number)
}

// Review is what is known of a pull request: its runs, and of a fork's, for
// approving it, the head that people have seen, and the approval.
type Review struct {
	PullRef
	// Runs are those that were started for it, whatever its head was then, the
	// newest last.
	Runs []PullRun `json:"runs,omitempty"`
	// Head as the forge told it last, and Since when that was.
	Head  string    `json:"head,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Approval of that head.
	Approval *Approval `json:"approval,omitempty"`
	// Changed is when this was last written.
	Changed time.Time `json:"changed,omitzero"`
}

// See notes the head that a delivery tells of, at the time it tells. An
// approval of another head is void. It tells whether anything changed.
func (r *Review) See(head string, at time.Time) bool {
	if head == "" || head == r.Head || at.Before(r.Since) {
		return false
	}
	r.Head, r.Since, r.Approval = head, at, nil
	return true
}

// PullRun is a run of a pull request.
type PullRun struct {
	Run  events.RunID `json:"run"`
	File string       `json:"file"`
	SHA  string       `json:"sha"`
}

// mostRuns bounds the runs that are remembered of a pull request.
const mostRuns = 100

// Ran notes runs that were started. It tells whether any was news.
func (r *Review) Ran(runs ...PullRun) bool {
	news := false
	for _, n := range runs {
		if !slices.ContainsFunc(r.Runs, func(k PullRun) bool { return k.Run == n.Run }) {
			r.Runs, news = append(r.Runs, n), true
		}
	}
	r.Runs = slices.Delete(r.Runs, 0, max(0, len(r.Runs)-mostRuns))
	return news
}

// Latest are the newest runs of each file, the newest last.
func (r *Review) Latest() []PullRun {
	var latest []PullRun
	for i, n := range r.Runs {
		if !slices.ContainsFunc(r.Runs[i+1:], func(k PullRun) bool { return k.File == n.File }) {
			latest = append(latest, n)
		}
	}
	return latest
}

// fullSHA is the length of a commit's hash that stands for one commit alone, in
// hex; some forges abbreviate.
const fullSHA = 40

// Approve approves the head that h.Pull has now, as of the comment or call that
// h is. It tells why not: whoever approves must have been able to see that very
// head, so one that came after they spoke is not theirs to have approved.
func (r *Review) Approve(h Happening, level Level, config string, now time.Time) string {
	if why := RefusesCommand(Command{Verb: OKTest}, h, level); why != "" {
		return why
	}
	head := h.Pull.HeadSHA
	switch {
	case len(head) < fullSHA || config == "":
		return "the head of the pull request and its pipeline files are not known"
	case r.Head != "" && r.Head != head:
		r.See(head, now)
		return fmt.Sprintf("the head has just moved to %s: look at it, and approve again", short(head))
	case r.Head == head && !h.At.IsZero() && h.At.Before(r.Since):
		return fmt.Sprintf("%s was pushed after that was written: look at it, and approve again", short(head))
	case r.Head == "":
		r.See(head, now)
	}
	r.Approval = &Approval{
		Forge: h.Forge, Repository: h.Repository.Name, Pull: h.Pull.Number,
		SHA: head, Config: config, By: h.Actor, Level: level, At: now,
	}
	return ""
}

// ConfigHash is the hash of all pipeline files of a commit, by path: whatever
// is changed, added or taken away changes it.
func ConfigHash(files map[string][]byte) string {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		content := sha256.Sum256(files[path])
		fmt.Fprintf(h, "%d:%s:%x\n", len(path), path, content)
	}
	return hex.EncodeToString(h.Sum(nil))
}
