package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// mostMessage bounds one message of a stream.
const mostMessage = 64 << 20

var errMessage = errors.New("client: message of the stream is too long")

// message is a server-sent event.
type message struct {
	id, kind string
	data     []byte
}

// stream reads server-sent events, as WHATWG's HTML standard (section 9.2.6)
// parses them, but for a byte order mark and a lone carriage return as an end
// of line, which no server of ours sends.
type stream struct {
	r     *bufio.Reader
	last  string        // the last event id, also of messages without data
	retry time.Duration // what the server asks to wait before coming again
}

func newStream(r io.Reader, last string) *stream {
	return &stream{r: bufio.NewReaderSize(r, 64<<10), last: last}
}

// next reads the next message that has data. What is cut off by the end of the
// stream is no message.
func (s *stream) next() (message, error) {
	m := message{id: s.last}
	size, some := 0, false
	for {
		line, err := s.line(mostMessage - size)
		if err != nil {
			return message{}, err
		}
		size += len(line)
		if len(line) > 0 {
			some = s.field(&m, line) || some
			continue
		}
		s.last = m.id
		if some {
			m.data = bytes.TrimSuffix(m.data, []byte("\n"))
			return m, nil
		}
		m, size = message{id: s.last}, 0
	}
}

// line reads a line without its end.
func (s *stream) line(most int) ([]byte, error) {
	var long []byte
	for {
		part, err := s.r.ReadSlice('\n')
		if len(long)+len(part) > most {
			return nil, fmt.Errorf("%w: more than %d bytes", errMessage, mostMessage)
		}
		if err == nil && long == nil {
			return bytes.TrimRight(part, "\r\n"), nil
		}
		long = append(long, part...)
		if err == nil {
			return bytes.TrimRight(long, "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}

// field takes a line into the message; it tells whether that was data.
func (s *stream) field(m *message, line []byte) bool {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "data":
		m.data = append(append(m.data, value...), '\n')
		return true
	case "event":
		m.kind = string(value)
	case "id":
		if !bytes.ContainsRune(value, 0) {
			m.id = string(value)
		}
	case "retry":
		if digits := string(value); digits != "" && strings.Trim(digits, "0123456789") == "" {
			if ms, err := strconv.ParseInt(digits, 10, 32); err == nil {
				s.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	return false // another field, or a comment
}
