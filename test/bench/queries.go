package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/view"
)

// question is one kind of query; path makes one of the kind. It is asked so often
// for one percentile.
type question struct {
	name  string
	times int
	path  func(a *asked, r *rand.Rand) string
}

var questions = []question{
	{"newest runs", 100, func(*asked, *rand.Rand) string { return "/v1/pipelines?limit=50" }},
	{"runs, filtered", 100, filtered},
	{"deep in the list", 100, func(a *asked, r *rand.Rand) string {
		n := r.IntN(a.runs)
		return "/v1/pipelines?limit=50&cursor=" + string(view.At(requested(n).UnixMilli(), string(benchRun(n))))
	}},
	{"jobs, filtered", 100, func(_ *asked, r *rand.Rand) string {
		return "/v1/jobs?limit=50&" + []string{"state=RUNNING", "state=FAILED", "node=n" + strconv.Itoa(r.IntN(100)), "repository=acme/r" + zipf(r, 200)}[r.IntN(4)]
	}},
	{"one run", 100, func(a *asked, _ *rand.Rand) string { return "/v1/pipelines/" + a.one }},
	{"a word that nothing has", 20, func(*asked, *rand.Rand) string { return "/v1/pipelines?limit=50&q=nowhere" }},
}

func filtered(a *asked, r *rand.Rand) string {
	path := "/v1/pipelines?limit=50&"
	switch r.IntN(6) {
	case 0:
		return path + "repository=acme/r" + zipf(r, 200)
	case 1:
		return path + "state=FAILED"
	case 2:
		return path + "branch=feature/" + zipf(r, 2000) + "&event=push"
	case 3:
		return path + "actor=person" + zipf(r, 300) + "&state=FAILED&state=CANCELLED"
	case 4:
		return path + "sha=" + commit(r.IntN(a.runs))[:8]
	}
	return path + "repository=acme/r" + zipf(r, 200) + "&pipeline=ci" + zipf(r, 50) + "&state=SUCCEEDED"
}

// zipf draws names as they are in life: few are everywhere, most are rare.
func zipf(r *rand.Rand, n int) string {
	return strconv.FormatUint(rand.NewZipf(r, 1.2, 4, uint64(n-1)).Uint64(), 10)
}

// asked is an installation with so many jobs.
type asked struct {
	jobs, runs int
	one        string
	http       http.Handler
}

// jobsEach is how many jobs a run has.
const jobsEach = 5

// queries is P13: the installations stand side by side, and are asked in turn.
func queries(ctx context.Context, b *bench) error {
	var all []*asked
	for text := range strings.SplitSeq(b.sizes, ",") {
		jobs, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		a, err := fill(ctx, b, jobs)
		if err != nil {
			return err
		}
		all = append(all, a)
	}
	for _, q := range questions {
		times := make([][]float64, len(all)+1) // the last is the control
		for round := range b.pairs + 1 {
			for _, i := range turn(len(times), round) {
				a := all[i%len(all)]
				p95, err := a.ask(q, uint64(round))
				if err != nil {
					return err
				}
				if round > 0 { // the first warms up
					times[i] = append(times[i], p95)
				}
			}
		}
		for i, a := range all {
			fmt.Printf("    %-24s %9d jobs  p95 %-42s ratio %s\n", q.name, a.jobs, spread(times[i], "s"), interval(ratios(times[i], times[0])))
		}
		fmt.Printf("    %-24s %14s  %46s ratio %s\n", "", "control", "", interval(ratios(times[len(all)], times[0])))
	}
	return nil
}

// turn is the order of a round: there and back.
func turn(n, round int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	if round%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

// ask asks and gives the 95th percentile, in seconds.
func (a *asked) ask(q question, seed uint64) (float64, error) {
	r := rand.New(rand.NewPCG(seed, 13))
	times := make([]float64, q.times)
	for i := range times {
		req := httptest.NewRequest(http.MethodGet, q.path(a, r), nil)
		req.RemoteAddr, req.Host = "127.0.0.1:1", "localhost"
		rec := httptest.NewRecorder()
		began := time.Now()
		a.http.ServeHTTP(rec, req)
		times[i] = time.Since(began).Seconds()
		if rec.Code != http.StatusOK {
			return 0, fmt.Errorf("%s: status %d: %s", req.URL, rec.Code, rec.Body)
		}
	}
	slices.Sort(times)
	return times[int(math.Ceil(float64(q.times)*0.95))-1], nil
}

// fill makes an installation and puts the rows of jobs into it, as functions do.
func fill(ctx context.Context, b *bench, jobs int) (*asked, error) {
	srv, err := b.redis(ctx, fmt.Sprint("p13-", jobs), server.FsyncNever)
	if err != nil {
		return nil, err
	}
	store, err := redis.Open(ctx, srv.URL(), redis.Options{})
	if err != nil {
		return nil, err
	}
	b.closes = append(b.closes, func() { _ = store.Close() })
	views := &state.Views{Store: store, View: store.View()}
	a := &asked{jobs: jobs, runs: jobs / jobsEach}
	began := time.Now()
	if err := putRows(ctx, views.View, a.runs); err != nil {
		return nil, err
	}
	fmt.Printf("    %9d jobs in %d runs put in %s\n", jobs, a.runs, time.Since(began).Round(time.Millisecond))
	runs := &state.Runs{Committer: &state.Committer{Store: views.Keep()}, Policy: pipeline.DefaultPolicy()}
	raw, err := marshal(chain(jobsEach))
	if err != nil {
		return nil, err
	}
	a.one = string(benchRun(a.runs))
	req := events.RunRequested{RunRef: events.RunRef{Run: benchRun(a.runs)}, Pipeline: "bench", Spec: raw}
	if _, err := runs.Create(ctx, "bench", req); err != nil {
		return nil, err
	}
	a.http = api.New(&api.API{Runs: runs, Views: views, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).HTTP
	return a, nil
}
