package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A session is our part in one life of the server, from its start or promotion
// to its end. Its connections all lead into that life: each is asked before its
// first use, and refused if it leads into another. So whatever was decided in
// the epoch of this session is never written into a later one.
type session struct {
	client   *goredis.Client
	proposal string
	known    sync.Map // of partitions that this life's registry holds

	mu           sync.Mutex
	joined       bool
	life         life
	epoch        uint32
	installation string
}

// life names one life of a server.
type life struct{ run, replication string }

// errAnotherLife refuses a connection before anything was sent on it.
var errAnotherLife = errors.New("redis: the server was restarted or replaced")

func newSession(o *goredis.Options, proposal string) *session {
	s := &session{proposal: proposal}
	own := *o
	own.OnConnect = s.greet
	s.client = goredis.NewClient(&own)
	return s
}

// ready makes sure that the session has joined, so that its epoch is known.
func (s *session) ready(ctx context.Context) error {
	s.mu.Lock()
	joined := s.joined
	s.mu.Unlock()
	if joined {
		return nil
	}
	return s.client.Ping(ctx).Err()
}

// greet is called with each new connection before its first use.
func (s *session) greet(ctx context.Context, conn *goredis.Conn) error {
	found, err := lifeOf(ctx, conn)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.joined {
		return s.join(ctx, conn, found)
	}
	if found != s.life {
		return errAnotherLife
	}
	return nil
}

// join makes the session part of the life found; it is called once.
func (s *session) join(ctx context.Context, conn *goredis.Conn, found life) error {
	reply, err := joinScript.Run(ctx, conn, []string{storeKey}, found.run, found.replication, s.proposal).StringSlice()
	if err != nil {
		return err
	}
	if len(reply) != 3 {
		return fmt.Errorf("redis: join: answer %q", reply)
	}
	epoch, err1 := strconv.ParseUint(reply[1], 10, 32)
	left, err2 := strconv.Atoi(reply[2])
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("redis: join: answer %q: %w", reply, err)
	}
	if left > 0 && !durable(ctx, conn) {
		select {
		case <-time.After(time.Duration(left) * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.installation, s.epoch, s.life, s.joined = reply[0], uint32(epoch), found, true
	return nil
}

// durable tells that what was just written cannot be lost by a restart.
func durable(ctx context.Context, conn *goredis.Conn) bool {
	only, err := conn.ConfigGet(ctx, "appendonly").Result()
	if err != nil {
		return false // not allowed to ask
	}
	fsync, err := conn.ConfigGet(ctx, "appendfsync").Result()
	return err == nil && only["appendonly"] == "yes" && fsync["appendfsync"] == "always"
}

// lifeOf asks which life a connection leads into. An embedded Redis knows no
// such thing: it dies with its process, and so does all that is in it.
func lifeOf(ctx context.Context, conn *goredis.Conn) (life, error) {
	pipe := conn.Pipeline()
	server, replication := pipe.Info(ctx, "server"), pipe.Info(ctx, "replication")
	if _, err := pipe.Exec(ctx); err != nil {
		if strings.HasSuffix(err.Error(), "is not supported") {
			return life{}, nil
		}
		return life{}, err
	}
	if version := infoField(server.Val(), "redis_version"); tooOld(version) {
		return life{}, fmt.Errorf("redis: the server has version %s; 6.2 or later is needed", version)
	}
	return life{
		run:         infoField(server.Val(), "run_id"),
		replication: infoField(replication.Val(), "master_replid"),
	}, nil
}

func tooOld(version string) bool {
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n < 2 {
		return false // whoever calls it something else will know
	}
	return major < 6 || major == 6 && minor < 2
}

func infoField(info, name string) string {
	for line := range strings.SplitSeq(info, "\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
