package deliveryreceived

import (
	"encoding/json"
	"maps"
	"slices"
)

// payload is github.event. What a comment started has the pull request too, as
// the forge describes it now.
func (p *pipelines) payload() json.RawMessage {
	if !p.ordered {
		return slim(p.h.Payload)
	}
	payload := map[string]json.RawMessage{}
	if json.Unmarshal(p.h.Payload, &payload) != nil {
		return slim(p.h.Payload)
	}
	pull := p.h.Pull
	add := func(key string, v any) {
		if raw, err := json.Marshal(v); err == nil {
			payload[key] = raw
		}
	}
	add("action", p.h.Action)
	add("number", pull.Number)
	side := func(ref, sha, repository string) map[string]any {
		return map[string]any{"ref": ref, "sha": sha, "repo": map[string]any{"full_name": repository}}
	}
	add("pull_request", map[string]any{
		"number": pull.Number, "title": pull.Title, "draft": pull.Draft,
		"user": map[string]any{"login": pull.Author.Login},
		"head": side(pull.Head, pull.HeadSHA, pull.From.Name), "base": side(pull.Base, pull.BaseSHA, p.h.Repository.Name),
	})
	raw, err := json.Marshal(payload)
	if err != nil {
		return slim(p.h.Payload)
	}
	return slim(raw)
}

// mostPayload is what a run carries with it, in bytes: events have a bound.
const mostPayload = 256 << 10

// slim leaves out the longest parts of a payload that is too long, such as the
// commits of a push that brings thousands.
func slim(payload json.RawMessage) json.RawMessage {
	if len(payload) <= mostPayload {
		return payload
	}
	parts := map[string]json.RawMessage{}
	if json.Unmarshal(payload, &parts) != nil {
		return nil
	}
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	longest := slices.SortedFunc(maps.Keys(parts), func(a, b string) int { return len(parts[b]) - len(parts[a]) })
	for _, key := range longest {
		if size <= mostPayload/2 {
			break
		}
		size -= len(parts[key])
		delete(parts, key)
	}
	raw, err := json.Marshal(parts)
	if err != nil {
		return nil
	}
	return raw
}
