// Package cold keeps logs where there is room for long: in a bucket of blobs. It
// stands in front of a hot store, in which attempts write. What is closed is
// moved, piece by piece and each with its digest, and reads find it there.
//
// A log in the bucket is <run>/<attempt>/, with chunks that are named by their
// offsets, and last of all the manifest, which says what belongs to it: the
// bytes of the hot store are dropped when every chunk was read back as it should
// be. Whoever moves may end at any point, and any number may move at once: what
// they write is the same.
//
// A chunk that is missing or damaged is a gap in the text, never an error for the
// rest: see logs.Gap.
package cold

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"gocloud.dev/blob"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
)

// Store is a logs.Store over a hot one and a bucket.
type Store struct {
	hot    logs.Hot
	bucket *blob.Bucket
	o      Options

	cache   cache
	appends atomic.Int64
	moving  sync.Mutex
}

var (
	_ logs.Store     = (*Store)(nil)
	_ logs.Inspector = (*Store)(nil)
)

// Options of a store; zero values mean the defaults.
type Options struct {
	// Chunk is the most bytes of a blob: 1 MiB.
	Chunk int64
	// Mark is how full the hot store may be before whoever writes makes room
	// first, of 100: 75.
	Mark int64
}

// New puts a store in front of hot and bucket, which it does not close.
func New(hot logs.Hot, bucket *blob.Bucket, o Options) *Store {
	o.Chunk, o.Mark = cmp.Or(o.Chunk, 1<<20), cmp.Or(o.Mark, 75)
	return &Store{hot: hot, bucket: bucket, o: o}
}

// folder is where a log stands in the bucket.
func folder(ref events.AttemptRef) string {
	return path.Join("logs", filepath.ToSlash(logs.Name(ref))) + "/"
}

// ofRun is where all logs of a run stand.
func ofRun(run events.RunID) string { return path.Join("logs", string(run)) + "/" }

// Append keeps data at offset; see logs.Store. Above the mark closed logs make
// room first, and where there is none they do, however few they are.
func (s *Store) Append(ctx context.Context, ref events.AttemptRef, offset int64, data []byte) (int64, error) {
	if s.appends.Add(1)%lookEvery == 0 {
		s.relieve(ctx)
	}
	n, err := s.hot.Append(ctx, ref, offset, data)
	if !errors.Is(err, logs.ErrFull) {
		return n, err
	}
	if moved, moveErr := s.Tidy(ctx, mostAtOnce); moved == 0 {
		return n, errors.Join(err, moveErr)
	}
	return s.hot.Append(ctx, ref, offset, data)
}

const (
	// lookEvery is how many appends lie between two looks at the room.
	lookEvery = 32
	// mostAtOnce is how many logs whoever writes moves before it goes on.
	mostAtOnce = 16
)

// relieve moves closed logs where the hot store is above the mark, unless
// somebody does already. That it fails is not the writer's: there is room yet.
func (s *Store) relieve(ctx context.Context) {
	used, most, err := s.hot.Room(ctx)
	if err != nil || most == 0 || used < most/100*s.o.Mark || !s.moving.TryLock() {
		return
	}
	defer s.moving.Unlock()
	_, _ = s.tidy(ctx, mostAtOnce)
}

// Close fixes the log's size; see logs.Store.
func (s *Store) Close(ctx context.Context, ref events.AttemptRef, size int64) error {
	return s.hot.Close(ctx, ref, size)
}

// Wait returns when the log has grown beyond offset; see logs.Store.
func (s *Store) Wait(ctx context.Context, ref events.AttemptRef, offset int64) error {
	_, size, closed, err := s.Read(ctx, ref, offset, nil)
	if err == nil && (size > offset || closed) {
		return nil
	}
	return s.hot.Wait(ctx, ref, offset)
}

// Remove forgets every log of a run; see logs.Store. The hot ones go first: then
// nobody begins to move one behind the sweep.
func (s *Store) Remove(ctx context.Context, run events.RunID) error {
	if err := s.hot.Remove(ctx, run); err != nil {
		return err
	}
	if err := s.sweep(ctx, ofRun(run)); err != nil {
		return fmt.Errorf("cold: remove logs of %s: %w", run, err)
	}
	s.cache.forget(run)
	return nil
}

// Tidy moves up to limit closed logs and tells how many. What could not be moved
// stays where it is.
func (s *Store) Tidy(ctx context.Context, limit int) (moved int, err error) {
	s.moving.Lock()
	defer s.moving.Unlock()
	return s.tidy(ctx, limit)
}

func (s *Store) tidy(ctx context.Context, limit int) (moved int, err error) {
	closed, err := s.hot.Closed(ctx, limit)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, ref := range closed {
		if err := s.move(ctx, ref); err != nil {
			errs = append(errs, err)
			if ctx.Err() != nil || len(errs) == mostFailures {
				break
			}
			continue
		}
		moved++
	}
	return moved, errors.Join(errs...)
}

// mostFailures is after how many logs a bucket counts as away.
const mostFailures = 3

// known bounds what is kept in memory of the bucket.
const (
	manifestsKept = 256
	chunksKept    = 16
	// absence is for how long a log that the bucket does not have is not asked for
	// again.
	absence = 5 * time.Second
)
