package cold

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
)

// manifest says what a log in the bucket is made of.
type manifest struct {
	// Format is 1.
	Format  int               `json:"format"`
	Attempt events.AttemptRef `json:"attempt"`
	Size    int64             `json:"size"`
	Chunks  []chunk           `json:"chunks"`
	Lines   logs.Lines        `json:"lines"`
}

// chunk is one blob.
type chunk struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
	// SHA256 of its bytes, in hexadecimal.
	SHA256 string `json:"sha256"`
}

func (c chunk) end() int64 { return c.Offset + c.Length }

const (
	format       = 1
	manifestName = "manifest.json"
	// mostManifest bounds one in bytes: a log of terabytes.
	mostManifest = 64 << 20
)

// name is that of the blob in its log's folder.
func (c chunk) name() string { return fmt.Sprintf("%016d", c.Offset) }

// move takes a closed log to the bucket. Done again it does what is left.
func (s *Store) move(ctx context.Context, ref events.AttemptRef) error {
	if m, err := s.read(ctx, ref); err != nil {
		return err
	} else if m == nil {
		switch err := s.write(ctx, ref); {
		case errors.Is(err, logs.ErrMoved):
			return nil // somebody else did
		case err != nil:
			return fmt.Errorf("cold: move log %s: %w", logs.Name(ref), err)
		}
	}
	return s.hot.Drop(ctx, ref)
}

// write copies a log chunk by chunk, and writes the manifest once all of them
// could be read back.
func (s *Store) write(ctx context.Context, ref events.AttemptRef) error {
	m := manifest{Format: format, Attempt: ref, Chunks: []chunk{}}
	buf := make([]byte, s.o.Chunk)
	for {
		n, size, closed, err := s.fill(ctx, ref, m.Size, buf)
		switch {
		case err != nil:
			return err
		case !closed:
			return errors.New("the log is open")
		}
		if n == 0 {
			break
		}
		c := chunk{Offset: m.Size, Length: int64(n), SHA256: digest(buf[:n])}
		if err := s.put(ctx, folder(ref)+c.name(), "text/plain; charset=utf-8", buf[:n]); err != nil {
			return err
		}
		m.Lines.Add(buf[:n])
		m.Chunks = append(m.Chunks, c)
		if m.Size += int64(n); m.Size == size {
			break
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := s.put(ctx, folder(ref)+manifestName, "application/json", body); err != nil {
		return err
	}
	s.cache.know(ref, &m)
	return nil
}

// fill reads a whole chunk: a store may give less at a time.
func (s *Store) fill(ctx context.Context, ref events.AttemptRef, offset int64, buf []byte) (n int, size int64, closed bool, err error) {
	for {
		var got int
		got, size, closed, err = s.hot.Read(ctx, ref, offset+int64(n), buf[n:])
		n += got
		if err != nil || got == 0 || n == len(buf) || offset+int64(n) >= size {
			return n, size, closed, err
		}
	}
}

// put writes a blob and reads it back.
func (s *Store) put(ctx context.Context, name, contentType string, data []byte) error {
	if err := s.bucket.WriteAll(ctx, name, data, &blob.WriterOptions{ContentType: contentType}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	back, err := s.bucket.ReadAll(ctx, name)
	if err != nil {
		return fmt.Errorf("read back %s: %w", name, err)
	}
	if !bytes.Equal(back, data) {
		return fmt.Errorf("read back %s: it is not what was written", name)
	}
	return nil
}

// read gives a log's manifest; nil where there is none, or none that can be read.
func (s *Store) read(ctx context.Context, ref events.AttemptRef) (*manifest, error) {
	r, err := s.bucket.NewReader(ctx, folder(ref)+manifestName, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cold: read manifest of %s: %w", logs.Name(ref), err)
	}
	body, err := io.ReadAll(io.LimitReader(r, mostManifest))
	_ = r.Close() // it was read
	if err != nil {
		return nil, fmt.Errorf("cold: read manifest of %s: %w", logs.Name(ref), err)
	}
	var m manifest
	if json.Unmarshal(body, &m) != nil || !m.right(ref) {
		return nil, nil //nolint:nilerr // it is damaged, and is as if it were not there
	}
	return &m, nil
}

// right tells that a manifest is one of this log, whole.
func (m *manifest) right(ref events.AttemptRef) bool {
	at := int64(0)
	for _, c := range m.Chunks {
		if c.Offset != at || c.Length <= 0 {
			return false
		}
		at = c.end()
	}
	return m.Format == format && m.Attempt == ref && m.Size == at
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// sweep removes every blob of a folder.
func (s *Store) sweep(ctx context.Context, folder string) error {
	list := s.bucket.List(&blob.ListOptions{Prefix: folder})
	for {
		object, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.bucket.Delete(ctx, object.Key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return err
		}
	}
}
