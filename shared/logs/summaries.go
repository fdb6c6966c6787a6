package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/relevo-ci/relevo/events"
)

// The summaries that an attempt's steps wrote for people are kept beside its
// log, as a log of their own of JSON lines, and go with it.

// summary is one line.
type summary struct {
	Step string `json:"step"`
	Text string `json:"text"`
}

// besideLog names the log of the summaries: that of a job which cannot be, since
// no job's key has such a character.
func besideLog(ref events.AttemptRef) events.AttemptRef {
	ref.Job += "\x00summaries"
	return ref
}

// AddSummary keeps the Markdown of a step; the first one stays. It fails where
// another one came between: repeat it.
func AddSummary(ctx context.Context, s Store, ref events.AttemptRef, step, text string) error {
	raw, err := readSummaries(ctx, s, ref)
	if err != nil {
		return err
	}
	if _, known := summariesOf(raw)[step]; known {
		return nil
	}
	line, err := json.Marshal(summary{step, text})
	if err != nil {
		return fmt.Errorf("logs: encode summary: %w", err)
	}
	line = append(line, '\n')
	if n := len(raw); n > 0 && raw[n-1] != '\n' {
		line = append([]byte{'\n'}, line...) // after one that was torn
	}
	size, err := s.Append(ctx, besideLog(ref), int64(len(raw)), line)
	if want := int64(len(raw) + len(line)); err == nil && size != want {
		err = fmt.Errorf("logs: add summary: the log has %d bytes, not %d", size, want)
	}
	return err
}

// Summaries gives the Markdown of an attempt's steps, by step.
func Summaries(ctx context.Context, s Store, ref events.AttemptRef) (map[string]string, error) {
	raw, err := readSummaries(ctx, s, ref)
	if err != nil {
		return nil, err
	}
	return summariesOf(raw), nil
}

func readSummaries(ctx context.Context, s Store, ref events.AttemptRef) ([]byte, error) {
	var raw []byte
	buf := make([]byte, 64<<10)
	for {
		n, size, _, err := s.Read(ctx, besideLog(ref), int64(len(raw)), buf)
		if err != nil {
			return nil, err
		}
		raw = append(raw, buf[:n]...)
		if n == 0 || int64(len(raw)) >= size {
			return raw, nil
		}
	}
}

// summariesOf reads the lines; one that was torn by a crash is passed over.
func summariesOf(raw []byte) map[string]string {
	all := map[string]string{}
	for line := range bytes.Lines(raw) {
		var one summary
		if json.Unmarshal(line, &one) != nil {
			continue
		}
		if _, known := all[one.Step]; !known {
			all[one.Step] = one.Text
		}
	}
	return all
}
