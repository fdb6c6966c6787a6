package cli

import "io"

// LogWriter shows one log: clean, line by line and without more around it. It
// is not safe for concurrent use.
type LogWriter struct {
	w      io.Writer
	colour bool
	split  splitter
	buf    []byte
}

// NewLog makes a writer that writes to w.
func NewLog(w io.Writer, o Options) *LogWriter {
	l := &LogWriter{w: w, colour: o.Colour}
	l.split.line = func(b []byte, _ bool) { l.buf = append(appendClean(l.buf, b, l.colour), '\n') }
	return l
}

// Write takes the next bytes of the log. A line is written once it has ended.
func (l *LogWriter) Write(p []byte) (int, error) {
	for n := 0; n < len(p); n += piece {
		l.split.write(p[n:min(n+piece, len(p))])
		if err := l.out(); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

// Close writes the last line, where it has no end.
func (l *LogWriter) Close() error {
	l.split.flush()
	return l.out()
}

func (l *LogWriter) out() error {
	if len(l.buf) == 0 {
		return nil
	}
	_, err := l.w.Write(l.buf)
	l.buf = l.buf[:0]
	return err
}
