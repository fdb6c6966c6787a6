package report

import (
	"errors"
	"time"
)

// ErrLeft: the log was heard, and the end left to others to tell; see Leave.
var ErrLeft = errors.New("report: left without a verdict")

// Leave ends the log, too, and has Run return ErrLeft once it was heard: how the
// attempt ended others tell.
func (r *Reporter) Leave() {
	r.mu.Lock()
	r.left, r.endedAt = true, time.Now()
	r.mu.Unlock()
	r.wake()
}

// Hasten has it report every second from now on: an answer is waited for.
func (r *Reporter) Hasten() {
	r.mu.Lock()
	r.hasty = true
	r.mu.Unlock()
	r.wake()
}

// leaves tells that it is left to others to tell the end, and all else was heard.
func (r *Reporter) leaves() bool {
	_, end := r.Spool.Bounds()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left && r.at >= end && len(r.steps) == 0
}
