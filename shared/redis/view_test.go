package redis_test

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/shared/redis/server"
	"github.com/relevo-ci/relevo/shared/view"
	"github.com/relevo-ci/relevo/shared/view/viewtest"
)

func TestView(t *testing.T) {
	s := start(t, t.TempDir(), server.Options{Fsync: server.FsyncNever})
	viewtest.Run(t, func(t *testing.T) view.Store { return emptyView(t, s.URL()) })
}

func TestViewEmbedded(t *testing.T) {
	e := embed(t)
	viewtest.Run(t, func(t *testing.T) view.Store { return emptyView(t, e.URL()) })
}

// emptyView drops what the test before left: one server is quicker than many.
func emptyView(t *testing.T, url string) view.Store {
	t.Helper()
	o, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(o)
	defer c.Close()
	if err := c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return open(t, url).View()
}
