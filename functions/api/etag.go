package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// tagged gives every JSON answer to a GET a strong ETag, made of its body, and
// answers 304 where the caller has it already. What a caller may see decides the
// body, and so the tag: caches keep answers for that caller alone, and ask each
// time. Streams pass as they are.
func tagged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Upgrade") != "" {
			next.ServeHTTP(w, r)
			return
		}
		t := &tagging{ResponseWriter: w}
		next.ServeHTTP(t, r)
		t.finish(r.Header.Values("If-None-Match"))
	})
}

// tagging holds back an answer that is JSON until it is whole.
type tagging struct {
	http.ResponseWriter
	decided bool
	held    bool
	body    bytes.Buffer
}

// WriteHeader decides whether the answer is held back.
func (t *tagging) WriteHeader(status int) {
	if t.decided {
		return
	}
	if status < http.StatusOK { // more comes
		t.ResponseWriter.WriteHeader(status)
		return
	}
	t.decided = true
	kind, _, _ := strings.Cut(t.Header().Get("Content-Type"), ";")
	isJSON := kind == "application/json" || strings.HasSuffix(kind, "+json")
	if t.held = status == http.StatusOK && isJSON; !t.held {
		t.ResponseWriter.WriteHeader(status)
	}
}

// Write writes, or holds back.
func (t *tagging) Write(b []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	if t.held {
		return t.body.Write(b)
	}
	return t.ResponseWriter.Write(b)
}

// FlushError sends what streams have written so far.
func (t *tagging) FlushError() error {
	t.WriteHeader(http.StatusOK)
	if t.held {
		return nil
	}
	return http.NewResponseController(t.ResponseWriter).Flush()
}

// Unwrap lets a http.ResponseController set deadlines.
func (t *tagging) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// finish sends what was held back, or that the caller has it.
func (t *tagging) finish(known []string) {
	if !t.held {
		return
	}
	sum := sha256.Sum256(t.body.Bytes())
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
	h := t.Header()
	h.Set("Etag", tag)
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", "Authorization, Cookie")
	if names(known, tag) {
		h.Del("Content-Type")
		h.Del("Content-Length")
		t.ResponseWriter.WriteHeader(http.StatusNotModified)
		return
	}
	t.ResponseWriter.WriteHeader(http.StatusOK)
	_, _ = t.ResponseWriter.Write(t.body.Bytes()) // else the caller is gone
}

// names tells whether If-None-Match names a tag (RFC 9110, 13.1.2).
func names(known []string, tag string) bool {
	for _, line := range known {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}
