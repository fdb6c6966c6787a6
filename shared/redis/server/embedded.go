package server

import (
	"crypto/rand"
	"fmt"

	"github.com/alicebob/miniredis/v2"
)

// Embedded is a Redis in this process. What is in it dies with the process.
type Embedded struct {
	redis    *miniredis.Miniredis
	password string
}

// StartEmbedded starts one on a free port of the loopback interface, behind a
// password that only its URL tells. Close it.
func StartEmbedded() (*Embedded, error) {
	e := &Embedded{redis: miniredis.NewMiniRedis(), password: rand.Text()}
	e.redis.RequireAuth(e.password)
	if err := e.redis.Start(); err != nil {
		return nil, fmt.Errorf("server: start embedded redis: %w", err)
	}
	return e, nil
}

// URL is where to connect to.
func (e *Embedded) URL() string { return "redis://:" + e.password + "@" + e.redis.Addr() }

// Close ends it; everything in it is gone.
func (e *Embedded) Close() { e.redis.Close() }
