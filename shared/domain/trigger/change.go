package trigger

import "github.com/relevo-ci/relevo/events"

// changes are the actions on a pull request that others hear of.
var changes = map[string]events.Change{
	"opened": events.ChangeCreated, "closed": events.ChangeAbandoned,
	"synchronize": events.ChangeUpdated, "edited": events.ChangeUpdated, "reopened": events.ChangeUpdated,
	"labeled": events.ChangeUpdated, "unlabeled": events.ChangeUpdated,
	"ready_for_review": events.ChangeUpdated, "converted_to_draft": events.ChangeUpdated,
}

// ChangeOf is what a delivery tells of a pull request itself; nil where it tells
// nothing: a comment, a review, a push.
func ChangeOf(d events.DeliveryID, h Happening) *events.ChangeReceived {
	change, told := changes[h.Action]
	if h.Event != "pull_request" || h.Pull == nil || h.Pull.Number == 0 || !told {
		return nil
	}
	if h.Action == "closed" && h.Pull.Merged {
		change = events.ChangeMerged
	}
	return &events.ChangeReceived{
		DeliveryRef: events.DeliveryRef{Delivery: d}, Forge: h.Forge, Repository: h.Repository.Name,
		Number: h.Pull.Number, Change: change, Title: bounded(h.Pull.Title, mostReason), Link: h.Repository.Link,
	}
}
