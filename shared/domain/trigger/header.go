package trigger

import (
	"slices"
	"strings"
)

// What of a request's header is kept: what tells which event of which delivery
// it is. Everything else may be somebody's secret.
var (
	keptHeaders  = []string{"content-type", "content-encoding", "user-agent", "date", "traceparent", "tracestate"}
	keptPrefixes = []string{
		"x-github-", "x-gitlab-", "x-gitea-", "x-forgejo-", "x-gogs-", "x-event-", "x-hook-",
		"x-request-", "x-attempt-", "ce-",
	}
	secretWords = []string{"token", "signature", "secret", "auth", "cookie", "password", "credential", "session", "apikey", "api-key"}
)

const (
	mostHeaders = 64
	mostHeader  = 1024 // bytes of a value
)

// Headers gives what may be stored of a request's header, names in small
// letters, the first value of each.
func Headers(header map[string][]string) map[string]string {
	kept := map[string]string{}
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		low := strings.ToLower(name)
		if len(header[name]) > 0 && stored(low) && len(kept) < mostHeaders {
			kept[low] = bounded(header[name][0], mostHeader)
		}
	}
	return kept
}

func stored(name string) bool {
	if slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(name, w) }) {
		return false
	}
	return slices.Contains(keptHeaders, name) ||
		slices.ContainsFunc(keptPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}
