package jobchanged

import (
	"encoding/json"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// job is what is read of a batch/v1 Job.
type job struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name        string            `json:"name"`
		UID         string            `json:"uid"`
		Deleted     string            `json:"deletionTimestamp"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Status struct {
		Active      int         `json:"active"`      // pods that run or wait
		Terminating int         `json:"terminating"` // pods that are being deleted
		Conditions  []condition `json:"conditions"`
	} `json:"status"`
}

type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// decode reads a Job; fn.Invalid where it is none, such as the mere reference
// that a source with mode Reference sends.
func decode(raw []byte) (job, error) {
	var j job
	if err := json.Unmarshal(raw, &j); err != nil {
		return job{}, fn.Faultf(fn.Invalid, "job-changed: read the Job: %w", err)
	}
	if j.Kind != "Job" || j.Metadata.UID == "" {
		return job{}, fn.Faultf(fn.Invalid, "job-changed: this is no Job of batch/v1: the source's mode must be Resource")
	}
	return j, nil
}

// conditionFailed is that of a Job whose pod ended in a way that only the pod
// knows.
const conditionFailed = "Failed"

// end is what ended a Job.
type end struct {
	// condition names it, for the ids of what follows from it.
	condition string
	reason    string
}

// ended says what ended a Job; false while it may run. That somebody deletes it
// is no end: its pod has its grace period still, and may yet tell its result.
// The deletion is one, or the failure that comes before it.
func (j job) ended(typ events.Type) (end, bool) {
	for _, c := range j.Status.Conditions {
		if c.Status != "True" {
			continue
		}
		switch c.Type {
		case conditionFailed:
			return end{c.Type, failed(c)}, true
		case "Complete":
			return end{c.Type, "it exited, and told no result"}, true
		}
	}
	if typ == TypeDeleted {
		return end{"Deleted", "its Job was deleted"}, true
	}
	return end{}, false
}

// ending tells that the pod is being deleted, and not with its Job: it was
// evicted, say.
func (j job) ending() bool { return j.Status.Terminating > 0 && j.Metadata.Deleted == "" }

// vacant tells that no pod of a deleted Job is left. One that was deleted while
// its pod ran is not known to be: whoever removes it waits for that.
func (j job) vacant(typ events.Type) bool {
	return typ == TypeDeleted && j.Status.Active == 0 && j.Status.Terminating == 0
}

// failures are Kubernetes' reasons of a Job's condition Failed.
var failures = map[string]string{
	"BackoffLimitExceeded": "its pod failed",
	"DeadlineExceeded":     "its Job passed its deadline (activeDeadlineSeconds)",
	"PodFailurePolicy":     "its pod was evicted, preempted, or lost its node",
}

// failed says why a Job failed. Of a pod that failed by itself Kubernetes says
// no more than that here.
func failed(c condition) string {
	text := failures[c.Reason]
	if text == "" {
		text = strings.TrimSuffix("its Job failed: "+line(c.Reason), ": ")
	}
	if message := line(c.Message); message != "" && failures[c.Reason] == "" {
		text += ": " + message
	}
	return text
}

// lineMax bounds what is taken over from others' messages, in bytes.
const lineMax = 400

// line makes one line of a message.
func line(message string) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(message, "")), " ")
	if len(text) <= lineMax {
		return text
	}
	return strings.ToValidUTF8(text[:lineMax], "") + "…"
}
