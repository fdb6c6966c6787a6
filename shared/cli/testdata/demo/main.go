// Package main plays a made-up run to a view, to look at it on a terminal:
//
//	go run ./shared/cli/testdata/demo [-plain] [-ascii] [-matrix N] [-speed F]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/cli"
)

const run events.RunID = "01JD3ZT4Q8N6W1YV5K7E9RBXHM"

var (
	plain  = flag.Bool("plain", false, "lines instead of a tree")
	ascii  = flag.Bool("ascii", false, "letters instead of glyphs")
	matrix = flag.Int("matrix", 3, "jobs of the matrix")
	speed  = flag.Float64("speed", 1, "times as fast")
)

func main() {
	flag.Parse()
	plan := cli.Plan{Run: run, Pipeline: "demo", Jobs: []cli.Job{
		{Key: "lint", Name: "lint", Steps: []string{"Run make lint"}},
		{Key: "build", Name: "build", Needs: []string{"lint"}, Steps: []string{"fetch", "compile", "pack"}},
	}}
	for i := range *matrix {
		plan.Jobs = append(plan.Jobs, cli.Job{
			Key: events.JobKey(fmt.Sprintf("test.%d", i)), Name: fmt.Sprintf("test (%d)", i),
			Needs: []string{"build"}, Steps: []string{"Run go test"},
		})
	}
	plan.Jobs = append(plan.Jobs, cli.Job{Key: "deploy", Name: "deploy to staging", Needs: []string{"test"}})
	s := cli.ScreenOf(os.Stdout, cli.Environment{Term: os.Getenv("TERM"), NoColor: os.Getenv("NO_COLOR"), Locale: os.Getenv("LANG")})
	s.Terminal, s.ASCII = s.Terminal && !*plain, s.ASCII || *ascii
	view := cli.New(os.Stdout, s, plan)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	done := make(chan struct{})
	go func() { play(view); close(done) }()
	select {
	case <-stop:
		view.Notice("interrupted")
		emit(view, events.RunCancelled{RunRef: events.RunRef{Run: run}, Reason: "interrupted"})
	case <-done:
	}
	view.Close()
}

var sent int

func emit(v cli.View, data events.Data) {
	sent++
	e, err := events.New(fmt.Sprint(sent), "/relevo/demo", "", time.Now(), data)
	if err != nil {
		panic(err)
	}
	v.Event(e)
}

func pause(seconds float64) { time.Sleep(time.Duration(seconds / *speed * float64(time.Second))) }

func ref(key string, attempt int) events.AttemptRef {
	return events.AttemptRef{JobRef: events.JobRef{Run: run, Job: events.JobKey(key)}, Attempt: attempt}
}

func begin(v cli.View, r events.AttemptRef, name string) {
	emit(v, events.JobRequested{JobRef: r.JobRef, Attempt: r.Attempt, Name: name})
	at := events.Placement{Pool: "local", Node: "laptop", Worker: "w", Provider: "docker"}
	emit(v, events.JobScheduled{AttemptRef: r, Placement: at})
	emit(v, events.WorkerCreated{For: r, Placement: at, Preparing: "pulling the image golang:1.26"})
	pause(0.7)
	emit(v, events.JobStarted{AttemptRef: r, Worker: "w"})
}

func step(v cli.View, r events.AttemptRef, name string, lines int, outcome string) {
	v.Log(r, []byte("==> "+name+"\n"))
	emit(v, events.StepStarted{AttemptRef: r, Step: name, Name: name})
	began := time.Now()
	for i := range lines {
		pause(0.1)
		v.Log(r, fmt.Appendf(nil, "\x1b[36m%s\x1b[0m \x1b[2Jline %d %s\n", name, i, strings.Repeat("日本 ", i%20)))
	}
	for i := range 10 {
		pause(0.1)
		v.Log(r, fmt.Appendf(nil, "\rdownloading %d%%", i*10))
	}
	v.Log(r, []byte("\n"))
	res := events.StepResult{ID: name, Name: name, Outcome: outcome, Conclusion: outcome, Millis: time.Since(began).Milliseconds()}
	if outcome == "success" {
		emit(v, events.StepCompleted{AttemptRef: r, Step: res})
		return
	}
	res.Exit = 2
	v.Log(r, []byte("==> exited with 2\n"))
	emit(v, events.StepFailed{AttemptRef: r, Step: res})
}

func play(v cli.View) {
	emit(v, events.RunStarted{RunRef: events.RunRef{Run: run}})
	lint := ref("lint", 1)
	begin(v, lint, "lint")
	step(v, lint, "Run make lint", 10, "success")
	emit(v, events.JobCompleted{AttemptRef: lint})
	build := ref("build", 1)
	begin(v, build, "build")
	step(v, build, "fetch", 5, "success")
	emit(v, events.JobRetried{AttemptRef: build, Verdict: events.Infra, Reason: "worker lost", NotBefore: time.Now().Add(3 * time.Second)})
	pause(3)
	build = ref("build", 2)
	begin(v, build, "build")
	for _, name := range []string{"fetch", "compile", "pack"} {
		step(v, build, name, 8, "success")
	}
	v.Notice("a word of the program's own")
	emit(v, events.JobCompleted{AttemptRef: build})
	tests(v)
	emit(v, events.JobSkipped{JobRef: ref("deploy", 0).JobRef, Reason: "needs test, which ended as failure"})
	emit(v, events.RunFailed{RunRef: events.RunRef{Run: run}, Verdict: events.Failed, Reason: "test.1: exited with 2"})
}

func tests(v cli.View) {
	for i := range *matrix {
		r := ref(fmt.Sprintf("test.%d", i), 1)
		begin(v, r, fmt.Sprintf("test (%d)", i))
		outcome := "success"
		if i == 1 {
			outcome = "failure"
		}
		step(v, r, "Run go test", 6, outcome)
		if i == 1 {
			emit(v, events.JobFailed{AttemptRef: r, Verdict: events.Failed, Reason: `step "Run go test": exited with 2`})
			continue
		}
		emit(v, events.JobCompleted{AttemptRef: r})
	}
}
