package logs_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/logs"
)

// FuzzSearch holds the search, of a log that comes in pieces, against the plainest
// one, and the index against counting.
func FuzzSearch(f *testing.F) {
	f.Add("one\ntwo\nthree\n", "o", 3, false)
	f.Add("ÄB\r\nx\n\n\nab", "äb", 1, true)
	f.Add("\xff\xfe\nK\n", "k", 2, true)
	f.Fuzz(func(t *testing.T, text, word string, size int, fold bool) {
		if size < 1 || word == "" || strings.ContainsAny(word, "\r\n") || len(text) > 10_000 {
			return
		}
		m := logs.NewMemory(1 << 20)
		var lines logs.Lines
		for at := 0; at < len(text); at += size {
			part := []byte(text[at:min(at+size, len(text))])
			if _, err := m.Append(t.Context(), build, int64(at), part); err != nil {
				t.Fatal(err)
			}
			lines.Add(part)
		}
		count := strings.Count(text, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			count++
		}
		if lines.Count != int64(count) || lines.Size != int64(len(text)) {
			t.Fatalf("%d lines and %d bytes, want %d and %d", lines.Count, lines.Size, count, len(text))
		}
		var found []logs.Match
		place, done := logs.Place{Line: 1}, false
		for !done {
			page, next, all, err := logs.Search{Text: word, Fold: fold, Limit: 2, Bytes: 1 << 20}.Run(
				t.Context(), m, func() (logs.Lines, error) { return lines, nil }, build, place)
			if err != nil || !all && len(page) == 0 {
				t.Fatal(len(page), err)
			}
			found, place, done = append(found, page...), next, all
		}
		if fold {
			return // which letters are the same is the search's to say
		}
		n, offset := 0, 0
		for i, line := range bytes.SplitAfter([]byte(text), []byte("\n")) {
			bare := bytes.TrimRight(line, "\r\n")
			if at := bytes.Index(bare, []byte(word)); at >= 0 {
				if n >= len(found) || found[n].Line != int64(i+1) || found[n].Offset != int64(offset) || found[n].Column != at {
					t.Fatalf("match %d of %d: line %d at %d is not found", n, len(found), i+1, offset)
				}
				n++
			}
			offset += len(line)
		}
		if n != len(found) {
			t.Fatalf("%d matches, want %d", len(found), n)
		}
	})
}
