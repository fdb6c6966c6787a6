package console

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
)

// holed is an api with one log, of which parts are lost.
func holed(text string, every int, gaps []client.LogGap) http.Handler {
	x := client.LogIndex{Attempt: 1, Size: int64(len(text)), Closed: true, Every: every, Gaps: gaps}
	at := 0
	for line := range strings.SplitAfterSeq(text, "\n") {
		if line == "" {
			break
		}
		if int(x.Lines)%every == 0 {
			x.Offsets = append(x.Offsets, int64(at))
		}
		x.Lines++
		at += len(line)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/index") {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(x)
			return
		}
		from, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		w.Header().Set(client.HeaderLog, client.LogClosed)
		w.Header().Set(client.HeaderAttempt, "1")
		for _, g := range gaps {
			if from >= int(g.To) {
				continue
			}
			if from < int(g.From) {
				_, _ = w.Write([]byte(text[from:g.From]))
			}
			fmt.Fprintf(w, "\n[relevo: bytes %d–%d are missing]\n", max(from, int(g.From)), g.To)
			from = int(g.To)
		}
		_, _ = w.Write([]byte(text[from:]))
	})
}

// TestLinesAroundGaps: whatever is lost of a log, its lines have the numbers that they
// had, those that are there their text, and each gap says where and how much it is.
func TestLinesAroundGaps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var b strings.Builder
		for n := range 50 + random.IntN(100) {
			fmt.Fprintf(&b, "line %d %s\n", n+1, strings.Repeat("x", random.IntN(20)))
		}
		text := strings.TrimSuffix(b.String(), strings.Repeat("\n", random.IntN(2)))
		var gaps []client.LogGap
		for at := random.IntN(len(text)); at < len(text) && len(gaps) < 3; at += 300 + random.IntN(len(text)) {
			to := min(at+1+random.IntN(400), len(text))
			gaps = append(gaps, client.LogGap{From: int64(at), To: int64(to)})
			at = to
		}
		c := &Console{API: holed(text, 10, gaps)}
		New(c)
		i, info, err := c.index(t.Context(), client.Job{ID: "R.j", Attempts: []client.Attempt{{Number: 1}}, Ended: noon}, 1)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.SplitAfter(text, "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		if info.Lines != len(want) || len(info.Lost) != len(gaps) {
			t.Fatalf("round %d: %d lines and %d gaps, not %d and %d", round, info.Lines, len(info.Lost), len(want), len(gaps))
		}
		from, count := 1+random.IntN(len(want)), 1+random.IntN(len(want))
		got, err := c.lines(t.Context(), i, "R.j", 1, from, count)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != min(count, len(want)-from+1) {
			t.Fatalf("round %d: lines %d to %d are %d; gaps %v, lost %+v", round, from, from+count-1, len(got), gaps, i.lost)
		}
		at := 0
		for n, line := range want {
			if n+1 >= from && n+1 < from+len(got) {
				theirs := got[n+1-from]
				whole := true
				for _, g := range gaps {
					whole = whole && (int(g.To) <= at || int(g.From) >= at+len(strings.TrimSuffix(line, "\n")))
				}
				if theirs.N != n+1 || whole && (theirs.Kind != "" && theirs.Kind != "gap" || !strings.HasPrefix(theirs.text(), strings.TrimSuffix(line, "\n"))) || !whole && strings.Contains(theirs.text(), strings.TrimSuffix(line, "\n")) && len(line) > 8 {
					t.Fatalf("round %d: line %d of %q is %d %s %q; gaps %v, lost %+v", round, n+1, line, theirs.N, theirs.Kind, theirs.text(), gaps, i.lost)
				}
			}
			at += len(line)
		}
	}
}

func (l logLine) text() string {
	var b strings.Builder
	for _, p := range l.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}
