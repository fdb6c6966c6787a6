package api_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/logs/cold"
)

// coldWorld keeps closed logs in a bucket.
func coldWorld(t *testing.T) (*world, *cold.Store, *blob.Bucket) {
	bucket := memblob.OpenBucket(nil)
	t.Cleanup(func() { bucket.Close() })
	var kept *cold.Store
	w := newWorld(t, func(w *world) {
		kept = cold.New(w.logs, bucket, cold.Options{Chunk: 10_000})
		w.api.Logs = kept
	})
	w.node("n1", 1)
	return w, kept, bucket
}

// long is a log of so many lines.
func long(lines int) string {
	var b strings.Builder
	for i := 1; i <= lines; i++ {
		fmt.Fprintf(&b, "line %d of the log, Ünïcode\n", i)
	}
	return b.String()
}

// TestLinesOfALog: the same from either store, wherever they lie.
func TestLinesOfALog(t *testing.T) {
	w, kept, _ := coldWorld(t)
	text := long(5000)
	id := w.submit(hello) + ".build"
	w.finish(0, text)
	all := strings.SplitAfter(text, "\n")
	for _, where := range []string{"hot", "cold"} {
		for _, c := range []struct{ line, count, got int }{{1, 3, 3}, {999, 3, 3}, {1000, 1, 1}, {1001, 2, 2}, {4999, 10, 2}, {5000, 1, 1}, {6000, 5, 0}, {2, 0, 1000}} {
			query := fmt.Sprintf("?line=%d", c.line)
			if c.count > 0 {
				query += fmt.Sprintf("&lines=%d", c.count)
			}
			rec := w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs"+query, "")
			want := ""
			if c.got > 0 {
				want = strings.Join(all[c.line-1:c.line-1+c.got], "")
			}
			if rec.Code != http.StatusOK || rec.Body.String() != want || rec.Header().Get(client.HeaderLines) != "5000" || rec.Header().Get(client.HeaderLine) != strconv.Itoa(c.line) {
				t.Errorf("%s, %s: %d, %d bytes, %v", where, query, rec.Code, rec.Body.Len(), rec.Header())
			}
			if offset := rec.Header().Get(client.HeaderOffset); c.got > 0 && offset != strconv.Itoa(len(strings.Join(all[:c.line-1], ""))) {
				t.Errorf("%s, %s: the first begins at %s", where, query, offset)
			}
		}
		index, err := w.serve().LogIndex(t.Context(), id, 0)
		if err != nil || index.Lines != 5000 || !index.Closed || index.Size != int64(len(text)) || len(index.Offsets) != 5 || !strings.HasPrefix(text[index.Offsets[4]:], "line 4001 ") {
			t.Errorf("%s: %+v, %v", where, index, err)
		}
		if _, err := kept.Tidy(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLostBytesAreShown in the text and told in the head, and the rest is there.
func TestLostBytesAreShown(t *testing.T) {
	w, kept, bucket := coldWorld(t)
	text := long(2000)
	id := w.submit(hello) + ".build"
	w.finish(0, text)
	if _, err := kept.Tidy(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	lose(t, bucket, "0000000000010000")
	rec := w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs", "")
	want := text[:10_000] + "\n[relevo: bytes 10000–20000 are missing]\n" + text[20_000:]
	if rec.Code != http.StatusOK || rec.Body.String() != want || rec.Header().Get(client.HeaderGaps) != "10000-20000" || rec.Header().Get("Content-Length") != "" {
		t.Errorf("%d %v, %d bytes", rec.Code, rec.Header(), rec.Body.Len())
	}
	rec = w.ask(http.MethodGet, "/v1/jobs/"+id+"/logs?line=300&lines=40", "")
	if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "are missing]") || rec.Header().Get(client.HeaderGaps) != "10000-20000" {
		t.Errorf("%d %v %q", rec.Code, rec.Header(), rec.Body)
	}
	index, err := w.serve().LogIndex(t.Context(), id, 0)
	if err != nil || len(index.Gaps) != 1 || index.Lines != 2000 {
		t.Errorf("%+v, %v", index, err)
	}
}

func lose(t *testing.T, bucket *blob.Bucket, name string) {
	t.Helper()
	list := bucket.List(nil)
	for {
		o, err := list.Next(t.Context())
		if err != nil {
			t.Fatal("no such blob", err)
		}
		if strings.HasSuffix(o.Key, name) {
			if err := bucket.Delete(t.Context(), o.Key); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
}

// TestSearch finds lines by page, of any attempt, with their places.
func TestSearch(t *testing.T) {
	w, kept, bucket := coldWorld(t)
	text := long(3000)
	run := w.submit(hello)
	w.finish(0, text)
	c := w.serve()
	search := func(q client.LogSearch) []client.LogMatch {
		t.Helper()
		var all []client.LogMatch
		for {
			page, err := c.SearchLogs(t.Context(), run, q)
			if err != nil || q.Limit > 0 && len(page.Matches) > q.Limit {
				t.Fatalf("%d matches, %v", len(page.Matches), err)
			}
			all = append(all, page.Matches...)
			if q.Cursor = page.Next; q.Cursor == "" {
				return all
			}
		}
	}
	for _, where := range []string{"hot", "cold"} {
		for text2, want := range map[string]int{"line 27": 111, "LINE 27": 0, "nothing": 0, "line 2999 ": 1, "Ünï": 3000} {
			for _, limit := range []int{0, 7, 111} {
				found := search(client.LogSearch{Text: text2, Limit: limit})
				if len(found) != want {
					t.Fatalf("%s, %q by %d: %d matches, want %d", where, text2, limit, len(found), want)
				}
				for _, m := range found {
					if at := int(m.Offset) + m.Column; !strings.HasPrefix(text[at:], text2) || !strings.HasPrefix(m.Text, fmt.Sprintf("line %d ", m.Line)) || m.Attempt != 1 || m.Key != "build" {
						t.Fatalf("%s: %+v", where, m)
					}
				}
			}
		}
		if found := search(client.LogSearch{Text: "LINE 2999 OF THE LOG, ÜNÏ", IgnoreCase: true}); len(found) != 1 || found[0].Line != 2999 {
			t.Errorf("%s: %+v", where, found)
		}
		if found := search(client.LogSearch{Text: "line", Job: "other"}); len(found) != 0 {
			t.Errorf("%s: %+v", where, found)
		}
		if _, err := kept.Tidy(context.WithoutCancel(t.Context()), 10); err != nil {
			t.Fatal(err)
		}
	}
	// Behind what is lost no line has a number until the index knows one.
	lose(t, bucket, "0000000000020000")
	w.api.Logs = cold.New(w.logs, bucket, cold.Options{}) // which remembers nothing
	found := search(client.LogSearch{Text: "line ", Limit: 1000})
	unknown := 0
	for _, m := range found {
		if m.Line == 0 {
			unknown++
		} else if !strings.HasPrefix(m.Text, fmt.Sprintf("line %d ", m.Line)) {
			t.Fatalf("%+v", m)
		}
	}
	if last := found[len(found)-1]; last.Line != 3000 || unknown == 0 || unknown > 1000 {
		t.Errorf("%d without a number, the last is %+v", unknown, last)
	}
	for _, bad := range []string{"?q=", "?q=a%0Ab", "?q=a&cursor=1.2.3", "?q=a&cursor=-1.0.0.0", "?q=a&limit=0"} {
		refused(t, w.ask(http.MethodGet, "/v1/pipelines/"+run+"/logs/search"+bad, ""), http.StatusUnprocessableEntity)
	}
}

// TestSearchStaysInItsBounds: a line without an end, and a text that is longer
// than what is shown.
func TestSearchStaysInItsBounds(t *testing.T) {
	w, _, _ := coldWorld(t)
	run := w.submit(hello)
	text := bytes.Repeat([]byte("x"), 300_000)
	copy(text[200_000:], "needle")
	w.finish(0, string(text))
	page, err := w.serve().SearchLogs(t.Context(), run, client.LogSearch{Text: "needle"})
	if err != nil || len(page.Matches) != 1 || len(page.Matches[0].Text) > 1000 || !strings.Contains(page.Matches[0].Text, "needle") {
		t.Errorf("%+v, %v", page, err)
	}
}
