package cold

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"gocloud.dev/gcerrors"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
)

// Read copies what is at offset into buf, from wherever it is; see logs.Store.
// Of bytes that the bucket has not, or not as they were, it gives a logs.Gap.
func (s *Store) Read(ctx context.Context, ref events.AttemptRef, offset int64, buf []byte) (int, int64, bool, error) {
	n, size, closed, err := s.hot.Read(ctx, ref, offset, buf)
	moved := errors.Is(err, logs.ErrMoved)
	if !moved && (err != nil || size > 0 || closed) {
		return n, size, closed, err
	}
	m, err := s.manifest(ctx, ref, moved)
	switch {
	case err != nil:
		return 0, 0, false, err
	case m == nil && moved:
		return 0, size, true, &logs.Gap{From: 0, To: size}
	case m == nil:
		return 0, 0, false, nil
	case len(buf) == 0 || offset >= m.Size:
		return 0, m.Size, true, nil
	}
	c := m.at(offset)
	data, err := s.chunk(ctx, ref, c)
	if err != nil {
		return 0, m.Size, true, err
	}
	return copy(buf, data[offset-c.Offset:]), m.Size, true, nil
}

// at is the chunk that has the byte at an offset within the log.
func (m *manifest) at(offset int64) chunk {
	i := sort.Search(len(m.Chunks), func(i int) bool { return m.Chunks[i].end() > offset })
	return m.Chunks[i]
}

// manifest gives that of a log, kept or read; nil where there is none. Of one that
// was moved it is not enough that there was none lately: another process moved it
// meanwhile.
func (s *Store) manifest(ctx context.Context, ref events.AttemptRef, moved bool) (*manifest, error) {
	if m, ok := s.cache.manifest(ref); ok && (m != nil || !moved) {
		return m, nil
	}
	m, err := s.read(ctx, ref)
	if err != nil {
		return nil, err
	}
	s.cache.know(ref, m)
	return m, nil
}

// chunk gives the bytes of one, kept or read; a logs.Gap where they are not what
// they were.
func (s *Store) chunk(ctx context.Context, ref events.AttemptRef, c chunk) ([]byte, error) {
	name := folder(ref) + c.name()
	if data, ok := s.cache.chunk(name); ok {
		return data, nil
	}
	gap := &logs.Gap{From: c.Offset, To: c.end()}
	attributes, err := s.bucket.Attributes(ctx, name)
	if err == nil && attributes.Size != c.Length {
		return nil, gap
	}
	var data []byte
	if err == nil {
		data, err = s.bucket.ReadAll(ctx, name)
	}
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return nil, gap
	case err != nil:
		return nil, fmt.Errorf("cold: read %s: %w", name, err)
	case digest(data) != c.SHA256:
		return nil, gap
	}
	s.cache.keep(name, ref.Run, data)
	return data, nil
}

// Gaps are what is lost of a log; see logs.Inspector. It reads all of it.
func (s *Store) Gaps(ctx context.Context, ref events.AttemptRef) ([]logs.Gap, error) {
	var gaps []logs.Gap
	one := make([]byte, 1)
	_, size, _, err := s.Read(ctx, ref, 0, nil)
	for at := int64(0); err == nil && at < size; {
		var lost *logs.Gap
		_, _, _, err = s.Read(ctx, ref, at, one)
		switch {
		case errors.As(err, &lost):
			err = nil
			if last := len(gaps) - 1; last >= 0 && gaps[last].To == lost.From {
				gaps[last].To = lost.To
			} else {
				gaps = append(gaps, *lost)
			}
			at = lost.To
		case err == nil:
			m, known := s.cache.manifest(ref)
			if !known || m == nil {
				return gaps, nil // it is hot: nothing is lost
			}
			at = m.at(at).end()
		}
	}
	return gaps, err
}

// Lines is the index of a log's lines; see logs.Inspector. That of a log in the
// bucket is kept with it; else the log is looked through.
func (s *Store) Lines(ctx context.Context, ref events.AttemptRef) (logs.Lines, error) {
	_, size, closed, err := s.hot.Read(ctx, ref, 0, make([]byte, 1))
	if moved := errors.Is(err, logs.ErrMoved); moved || err == nil && size == 0 && !closed {
		m, err := s.manifest(ctx, ref, moved)
		if m == nil || err != nil {
			return logs.Lines{}, err
		}
		return m.Lines, nil
	}
	if err != nil {
		return logs.Lines{}, err
	}
	return logs.Index(ctx, s, ref)
}

// cache keeps what was read last; the zero value is ready.
type cache struct {
	mu        sync.Mutex
	manifests lru[events.AttemptRef, found]
	chunks    lru[string, piece]
}

// found is a manifest, or that there was none.
type found struct {
	manifest *manifest
	at       time.Time
}

type piece struct {
	run  events.RunID
	data []byte
}

func (c *cache) manifest(ref events.AttemptRef) (*manifest, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.manifests.get(ref)
	if ok && f.manifest == nil && time.Since(f.at) > absence {
		return nil, false
	}
	return f.manifest, ok
}

func (c *cache) know(ref events.AttemptRef, m *manifest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manifests.put(ref, found{m, time.Now()}, manifestsKept)
}

func (c *cache) chunk(name string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.chunks.get(name)
	return p.data, ok
}

func (c *cache) keep(name string, run events.RunID, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.chunks.put(name, piece{run, data}, chunksKept)
}

func (c *cache) forget(run events.RunID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manifests.remove(func(ref events.AttemptRef, _ found) bool { return ref.Run == run })
	c.chunks.remove(func(_ string, p piece) bool { return p.run == run })
}

// lru keeps what was asked for last.
type lru[K comparable, V any] struct {
	order list.List // newest in front
	known map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func (l *lru[K, V]) get(k K) (V, bool) {
	e, ok := l.known[k]
	if !ok {
		var none V
		return none, false
	}
	l.order.MoveToFront(e)
	return e.Value.(entry[K, V]).value, true
}

func (l *lru[K, V]) put(k K, v V, most int) {
	if l.known == nil {
		l.known = map[K]*list.Element{}
	}
	if e, ok := l.known[k]; ok {
		e.Value = entry[K, V]{k, v}
		l.order.MoveToFront(e)
		return
	}
	l.known[k] = l.order.PushFront(entry[K, V]{k, v})
	if l.order.Len() > most {
		oldest := l.order.Back()
		l.order.Remove(oldest)
		delete(l.known, oldest.Value.(entry[K, V]).key)
	}
}

func (l *lru[K, V]) remove(gone func(K, V) bool) {
	for k, e := range l.known {
		if gone(k, e.Value.(entry[K, V]).value) {
			l.order.Remove(e)
			delete(l.known, k)
		}
	}
}
