package api

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/logs"
)

const (
	// someLines is how many lines are given where nobody says.
	someLines = 1000
	// mostLines bounds the bytes of an answer: a line may be a whole log.
	mostLines = 8 << 20
)

// showLines answers with some lines of a log. The index leads to the thousand
// that they begin in, so that the last of a million costs what the first does.
func (a *API) showLines(ctx context.Context, ref events.AttemptRef, in *logsInput) (*huma.StreamResponse, error) {
	lines, err := a.lines(ctx, ref)
	if err != nil {
		return nil, a.fault(ctx, "look at the log", err)
	}
	_, _, closed, err := a.Logs.Read(ctx, ref, 0, nil)
	if err != nil {
		return nil, a.fault(ctx, "look at the log", err)
	}
	count := in.Lines
	if count == 0 {
		count = someLines
	}
	known, at := lines.Before(in.Line)
	p := piece{skip: in.Line - known, want: count, start: at}
	if err := logs.Each(ctx, a.Logs, ref, at, p.take); err != nil {
		return nil, a.fault(ctx, "read the log", err)
	}
	state := client.LogOpen
	if closed {
		state = client.LogClosed
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(p.text.Len()))
		h.Set(client.HeaderAttempt, strconv.Itoa(ref.Attempt))
		h.Set(client.HeaderLog, state)
		h.Set(client.HeaderLine, strconv.FormatInt(in.Line, 10))
		h.Set(client.HeaderLines, strconv.FormatInt(lines.Count, 10))
		h.Set(client.HeaderOffset, strconv.FormatInt(p.start, 10))
		if len(p.gaps) > 0 {
			h.Set(client.HeaderGaps, gapText(p.gaps))
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(p.text.Bytes()) // the reader may be gone
	}}, nil
}

// piece gathers lines.
type piece struct {
	skip  int64 // lines before the first
	want  int
	start int64
	text  bytes.Buffer
	gaps  []client.LogGap
}

// take takes what follows; false where it is enough.
func (p *piece) take(data []byte, lost *logs.Gap) (bool, error) {
	if lost != nil {
		p.gaps = append(p.gaps, client.LogGap{From: lost.From, To: lost.To})
		p.skip = 0 // which line follows nobody knows
		data = []byte("\n" + lost.Mark() + "\n")
	}
	for len(data) > 0 && p.want > 0 && p.text.Len() < mostLines {
		end := bytes.IndexByte(data, '\n') + 1
		whole := end > 0
		if !whole {
			end = len(data)
		}
		switch {
		case p.skip > 0:
			p.start += int64(end)
			if whole {
				p.skip--
			}
		default:
			p.text.Write(data[:end])
			if whole {
				p.want--
			}
		}
		data = data[end:]
	}
	return p.want > 0 && p.text.Len() < mostLines, nil
}

func gapText(gaps []client.LogGap) string {
	all := make([]string, len(gaps))
	for i, g := range gaps {
		all[i] = strconv.FormatInt(g.From, 10) + "-" + strconv.FormatInt(g.To, 10)
	}
	return strings.Join(all, ",")
}
