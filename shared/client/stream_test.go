package client

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// messages reads a whole stream: kind|data@id of each message.
func messages(r io.Reader) (got []string, s *stream, err error) {
	s = newStream(r, "start")
	for {
		m, err := s.next()
		if err != nil {
			return got, s, err
		}
		got = append(got, fmt.Sprintf("%s|%s@%s", m.kind, m.data, m.id))
	}
}

func TestStream(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for text, want := range map[string]string{
		"data: a\n\n":                         "|a@start",
		"data:a\n\n":                          "|a@start",
		"data:  a\n\n":                        "| a@start",
		"data\n\n":                            "|@start",
		"data: a\ndata: b\n\n":                "|a\nb@start",
		"event: k\nid: 1\ndata: a\n\n":        "k|a@1",
		"id: 1\ndata: a\n\ndata: b\n\n":       "|a@1 |b@1",
		"event: k\n\ndata: a\n\n":             "|a@start",
		"id: 1\n\ndata: a\n\n":                "|a@1",
		"id: 1\x00\ndata: a\n\n":              "|a@start",
		"id\ndata: a\n\n":                     "|a@",
		": comment\r\ndata: a\r\n\r\n":        "|a@start",
		"other: x\nretry: 5x\ndata: a\n\n":    "|a@start",
		"data: a":                             "",
		"data: a\n":                           "",
		"data: a\n\ndata: torn\n":             "|a@start",
		"data: " + long + "\n\ndata: b\n\n":   "|" + long + "@start |b@start",
		"\n\n\ndata: a\n\n":                   "|a@start",
		"data: a\nevent: k\nevent: l\n\n\n\n": "l|a@start",
	} {
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			got, _, err := messages(r)
			if strings.Join(got, " ") != want || !errors.Is(err, io.EOF) {
				t.Errorf("%.80q: %.80q, %v", text, got, err)
			}
		}
	}
	if _, s, _ := messages(strings.NewReader("retry: 1500\n\nretry: -1\n\nretry: 99999999999\n\n")); s.retry != 1500*time.Millisecond {
		t.Errorf("retry %s", s.retry)
	}
}

func TestAMessageIsBounded(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("data: "), zeros{})
	if _, _, err := messages(endless); !errors.Is(err, errMessage) {
		t.Errorf("an endless line: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// Where a stream is cut makes no difference to what comes before: no message is
// made of a part of one.
func FuzzStream(f *testing.F) {
	f.Add("id: 1\nevent: k\ndata: a\n\ndata: b\n\n", 20)
	f.Add(": c\r\nretry: 5\r\n\r\ndata\r\n\r\n", 5)
	f.Fuzz(func(t *testing.T, text string, at int) {
		whole, _, err := messages(strings.NewReader(text))
		if !errors.Is(err, io.EOF) {
			t.Fatalf("%q: %v", text, err)
		}
		if at < 0 || at > len(text) {
			return
		}
		part, _, _ := messages(strings.NewReader(text[:at]))
		if len(part) > len(whole) {
			t.Fatalf("%q has %d messages, its start %q has %d", text, len(whole), text[:at], len(part))
		}
		for i := range part {
			if part[i] != whole[i] {
				t.Errorf("%q: message %d is %q, of %q it was %q", text, i, whole[i], text[:at], part[i])
			}
		}
	})
}
