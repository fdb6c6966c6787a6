package events

import (
	"encoding/json"
	"net/url"
	"strings"
)

// Server is the address of the forge, without a slash at its end: what stands
// in the clone address before the repository, or its host; empty where there is
// no clone address.
func (t Trigger) Server() string {
	base := strings.TrimSuffix(strings.TrimSuffix(t.Clone, "/"), ".git")
	if at := len(base) - len(t.Repository); t.Repository != "" && at > 0 && base[at-1] == '/' && strings.EqualFold(base[at:], t.Repository) {
		return base[:at-1]
	}
	u, err := url.Parse(t.Clone)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// Branches are those of the pull request, as they were told or stand in a
// payload of GitHub's form; empty without one.
func (t Trigger) Branches() (base, head string) {
	if t.Base != "" || t.Head != "" || len(t.Payload) == 0 {
		return t.Base, t.Head
	}
	var payload struct {
		Pull struct {
			Base struct {
				Ref string `json:"ref"`
			} `json:"base"`
			Head struct {
				Ref string `json:"ref"`
			} `json:"head"`
		} `json:"pull_request"`
	}
	if json.Unmarshal(t.Payload, &payload) != nil {
		return "", ""
	}
	return payload.Pull.Base.Ref, payload.Pull.Head.Ref
}
