package cli

import (
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// release is a pipeline with something of everything.
var release = Plan{
	Run: testRun, Pipeline: "release",
	Jobs: []Job{
		{Key: "lint", Name: "lint", Steps: []string{"Run make lint"}},
		{Key: "build", Name: "build", Needs: []string{"lint"}, Steps: []string{"fetch", "compile", "pack"}},
		{Key: "deploy", Name: "deploy to staging", Needs: []string{"test"}},
		{Key: "test.0", Name: "test (amd64)", Needs: []string{"build"}, Steps: []string{"Run go test"}},
		{Key: "test.1", Name: "test (arm64)", Needs: []string{"build"}, Steps: []string{"Run go test"}},
		{Key: "docs", Name: "docs", Steps: []string{"Run make docs"}},
	},
}

// capacityOf declares this machine's slots.
func (s *script) capacityOf(slots int64) {
	s.emit(events.CapacityUpdated{Pool: "local", Node: "laptop", Provider: "process", Capacity: events.Resources{CPU: 8000, Memory: 1 << 34, Slots: slots}, Since: s.now})
}

// playRelease plays release; shot is called at the moments worth a picture.
func playRelease(s *script, shot func(name string)) {
	shot("before")
	s.capacityOf(1)
	s.begin()
	lint := s.job("lint", 1).requested().offered()
	docs := s.job("docs", 1).requested().offered()
	lint.scheduled().started().step("0", "Run make lint").log("checking 120 files\n")
	s.wait(300 * time.Millisecond)
	shot("queued")
	lint.completed(lint.stepOK("0", "Run make lint", 4100*time.Millisecond)).released()
	docs.scheduled()
	s.emit(events.WorkerCreated{For: docs.ref, Placement: docs.place(), Preparing: "pulling the image docs:1"})
	build := s.job("build", 1).requested().offered().scheduled()
	s.wait(time.Second)
	shot("preparing")
	docs.started().step("0", "Run make docs").log("writing\rwriting 10%\rwriting 99%")
	build.started().step("fetch", "fetch").log("\x1b[32mfetched\x1b[0m 12 modules\n")
	s.wait(2 * time.Second)
	shot("running")
	build.retried(events.Infra, "worker lost: no word for 30s", 4*time.Second)
	s.wait(1500 * time.Millisecond)
	shot("retry")
	s.emit(events.CancelRequested{RunRef: s.runRef(), Job: "docs", Reason: "not needed"})
	s.emit(events.JobCancelled{AttemptRef: docs.ref, Placement: docs.place(), Reason: "not needed"})
	s.wait(2500 * time.Millisecond)
	build = s.job("build", 2).run()
	steps := []events.StepResult{build.step("fetch", "fetch").stepOK("fetch", "fetch", time.Second)}
	build.step("1", "compile").log("cc main.c\n\ncc util.c\nutil.c:3: warning: unused\n")
	s.wait(100 * time.Millisecond)
	shot("second attempt")
	steps = append(steps, build.stepOK("1", "compile", 61*time.Second), build.stepSkipped("2", "pack"))
	build.completed(steps...)
	amd, arm := s.job("test.0", 1).run(), s.job("test.1", 1).run()
	amd.step("0", "Run go test").log("ok  a\n")
	arm.step("0", "Run go test").log("--- FAIL: TestClock\n    clock_test.go:7: 日本語 wide 👩‍🚀 text\n")
	s.wait(200 * time.Millisecond)
	shot("matrix")
	amd.completed(amd.stepOK("0", "Run go test", 800*time.Millisecond))
	bad := arm.stepFailed("0", "Run go test", 1, 300*time.Millisecond)
	arm.failed(events.Failed, `step "Run go test": exited with 1`, bad)
	s.job("deploy", 0).skipped("needs test, which ended as failure")
	s.emit(events.RunFailed{RunRef: s.runRef(), Verdict: events.Failed, Reason: `test.1: step "Run go test": exited with 1`})
}

// wide is a pipeline whose matrix has many jobs.
func wide(n int) Plan {
	p := Plan{Run: testRun, Pipeline: "wide", Jobs: []Job{{Key: "prepare", Name: "prepare"}}}
	for i := range n {
		p.Jobs = append(p.Jobs, Job{Key: events.JobKey(fmt.Sprintf("test.%d", i)), Name: fmt.Sprintf("test (%d)", i), Needs: []string{"prepare"}})
	}
	for i := range 6 {
		p.Jobs = append(p.Jobs, Job{Key: events.JobKey(fmt.Sprintf("after-%d", i)), Name: fmt.Sprintf("after-%d", i), Needs: []string{"test"}})
	}
	return p
}

// playWide plays wide up to where much goes on, and leaves it there.
func playWide(s *script) {
	s.begin()
	first := s.job("prepare", 1).run()
	first.completed(first.stepOK("0", "prepare", time.Second))
	for i := range 8 {
		a := s.job(events.JobKey(fmt.Sprintf("test.%d", i)), 1).run().step("0", "check")
		a.log(fmt.Sprintf("line a of %d\nline b of %d\nline c of %d\n", i, i, i))
		switch {
		case i < 3:
			a.completed(a.stepOK("0", "check", time.Second))
		case i == 3:
			a.failed(events.Timeout, "the job took longer than 1s", a.stepFailed("0", "check", -1, time.Second))
		}
	}
	s.job("test.8", 1).requested().offered()
}
