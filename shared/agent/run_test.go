package agent_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// outcomes lists the results of steps: id outcome conclusion exit.
func outcomes(steps []events.StepResult) string {
	var all []string
	for _, s := range steps {
		all = append(all, fmt.Sprintf("%s %s/%s %d", s.ID, s.Outcome, s.Conclusion, s.Exit))
	}
	return strings.Join(all, ", ")
}

func TestStepsRunInOrder(t *testing.T) {
	first, second := sh("echo one; echo two >&2; pwd"), sh("printf 'no newline'")
	first.ID, first.Name = "first", ptr(template("Build on ", at("matrix", "go")))
	w := newWorker(t, newPlane(t), first, second).start()
	e := w.ending(events.Succeeded)
	want := "==> Build on 1.26\none\ntwo\n" + w.launch.Workspace + "\n==> Run printf 'no newline'\nno newline"
	if got := w.plane.log(); got != want {
		t.Errorf("log %q, want %q", got, want)
	}
	if got := outcomes(e.Steps); got != "first success/success 0, 1 success/success 0" {
		t.Error(got)
	}
	var told []string
	for _, s := range w.plane.steps {
		text := fmt.Sprint(s.Index, " ", s.ID, " ", s.Name, " ", s.Offset)
		if s.Result != nil {
			text += " " + s.Result.Conclusion
		}
		told = append(told, text)
	}
	end := len(want)
	mid := strings.Index(want, "==> Run")
	wantTold := []string{
		"0 first Build on 1.26 0", fmt.Sprint("0 first Build on 1.26 ", mid, " success"),
		fmt.Sprint("1 1 Run printf 'no newline' ", mid), fmt.Sprint("1 1 Run printf 'no newline' ", end, " success"),
	}
	if !reflect.DeepEqual(told, wantTold) {
		t.Errorf("told %q, want %q", told, wantTold)
	}
	for _, left := range []string{"temp-*", "*/spool-*"} {
		if names, _ := filepath.Glob(filepath.Join(w.dir, left)); len(names) > 0 {
			t.Errorf("left behind: %q", names)
		}
	}
}

func TestBytesArriveAsTheyAre(t *testing.T) {
	w := newWorker(t, newPlane(t), sh(`printf 'a\000b\377\376\r\n\n\n\303' ; printf '\251'`)).start()
	w.ending(events.Succeeded)
	_, got, _ := strings.Cut(w.plane.log(), "\\251'\n")
	if want := "a\x00b\xff\xfe\r\n\n\n\xc3\xa9"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

func TestWhatStepsTellEachOther(t *testing.T) {
	set := sh(`
echo "version=1.2.3" >> "$GITHUB_OUTPUT"
{ echo 'text<<E'; echo line 1; echo line 2; echo E; } >> "$RELEVO_OUTPUT"
echo "COLOR=green = blue" >> "$GITHUB_ENV"
mkdir -p tools; printf '#!/bin/sh\necho the tool ran\n' > tools/mytool; chmod +x tools/mytool
echo "$PWD/tools" >> "$GITHUB_PATH"
echo "# All is well" >> "$GITHUB_STEP_SUMMARY"
exit 3`)
	set.ID, set.ContinueOnError = "set", ptr(template("true"))
	use := sh(`mytool; echo "COLOR is $COLOR"; echo "GREETING is $GREETING"`)
	use.Env = []pipeline.EnvVar{{Name: "GREETING", Value: template("v", at("steps", "set", "outputs", "version"), " ", at("env", "COLOR"), " ", at("steps", "set", "outcome"), " ", at("steps", "set", "conclusion"))}}
	w := newWorker(t, newPlane(t), set, use)
	w.launch.Job.Outputs = []pipeline.EnvVar{{Name: "text", Value: template(at("steps", "set", "outputs", "text"))}, {Name: "none", Value: template(at("steps", "no", "outputs", "x"))}}
	e := w.start().ending(events.Succeeded)
	log := w.plane.log()
	for _, want := range []string{"the tool ran\n", "COLOR is green = blue\n", "GREETING is v1.2.3 green = blue failure success\n", "==> exited with 3\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
	if want := map[string]string{"text": "line 1\nline 2", "none": ""}; !reflect.DeepEqual(e.Outputs, want) {
		t.Errorf("outputs %q, want %q", e.Outputs, want)
	}
	if got := outcomes(e.Steps); got != "set failure/success 3, 1 success/success 0" {
		t.Error(got)
	}
	if got := w.plane.steps[1].Summary; got != "# All is well\n" {
		t.Errorf("summary %q", got)
	}
}

func TestEnvironment(t *testing.T) {
	step := sh("env; cat \"$GITHUB_EVENT_PATH\"; ls -d \"$RUNNER_TEMP\"")
	step.Env = []pipeline.EnvVar{{Name: "C", Value: template("step ", at("env", "B"))}, {Name: "GITHUB_SHA", Value: template("mine")}}
	w := newWorker(t, newPlane(t), step)
	w.launch.Env = []pipeline.EnvVar{{Name: "A", Value: template("pipeline")}, {Name: "B", Value: template("pipeline")}}
	w.launch.Job.Env = []pipeline.EnvVar{{Name: "B", Value: template("job over ", at("env", "B"))}, {Name: "CI", Value: template("yes")}}
	w.env = []string{"INHERITED=1", "RELEVO_SECRET_THING=x", "GITHUB_ACTIONS=true", "A=outside"}
	w.start().ending(events.Succeeded)
	log := w.plane.log()
	for _, want := range []string{
		"A=pipeline", "B=job over pipeline", "C=step job over pipeline", "INHERITED=1", "CI=yes", "RELEVO=true",
		"GITHUB_SHA=abc", "GITHUB_REF=refs/heads/main", "RELEVO_REF=refs/heads/main", "GITHUB_RUN_ID=" + string(ref.Run), "GITHUB_JOB=build",
		"GITHUB_RUN_ATTEMPT=2", "GITHUB_ACTOR=ada", "GITHUB_REPOSITORY=o/r", "GITHUB_EVENT_NAME=push", "RUNNER_OS=Linux",
		"RELEVO_WORKSPACE=" + w.launch.Workspace, "GITHUB_WORKSPACE=" + w.launch.Workspace, `{"size":3}`,
	} {
		if !strings.Contains(log, "\n"+want+"\n") && !strings.Contains(log, "\n"+want) {
			t.Errorf("no %s in:\n%s", want, log)
		}
	}
	for _, no := range []string{token, "RELEVO_SECRET_THING", "GITHUB_ACTIONS", "not for env", asAgent} {
		if strings.Contains(log, no) {
			t.Errorf("%s is in the steps' environment", no)
		}
	}
}

func TestShells(t *testing.T) {
	bash, errexit, custom, where := sh("set -o | grep pipefail; echo ${BASH_VERSION%%.*}"), sh("false\necho not here"), sh("1 + 1"), sh("pwd")
	bash.Shell, errexit.Shell, errexit.ContinueOnError = "bash", "sh", ptr(template("true"))
	custom.Shell = `env "GREETING=a b" sh -c 'echo "$GREETING"; cat "$0"' {0}`
	where.WorkingDirectory = ptr(template("sub"))
	w := newWorker(t, newPlane(t), bash, errexit, custom, sh("mkdir sub"), where).start()
	w.ending(events.Succeeded)
	log := w.plane.log()
	for _, want := range []string{"pipefail", "\ton\n5\n", "a b\n1 + 1", w.launch.Workspace + "/sub\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
	if strings.Contains(log, "not here\n==> Run 1") {
		t.Errorf("sh went on after an error:\n%s", log)
	}
}

func TestDefaultShell(t *testing.T) {
	for _, container := range []*pipeline.Container{nil, {Image: expression.Text("x"), Env: []pipeline.EnvVar{{Name: "IN", Value: template("container")}}}} {
		w := newWorker(t, newPlane(t), sh(`echo "bash is ${BASH_VERSION:-not there} $IN"`))
		w.launch.Job.Container = container
		w.start().ending(events.Succeeded)
		if got := strings.Contains(w.plane.log(), "\nbash is not there container\n"); got != (container != nil) {
			t.Errorf("container %v: %s", container, w.plane.log())
		}
	}
}

func TestConditions(t *testing.T) {
	mark := func(name string, condition *expression.Node) pipeline.StepSpec {
		s := sh("echo ran " + name)
		s.ID, s.If = name, condition
		return s
	}
	w := newWorker(t, newPlane(t),
		mark("plain", nil), mark("false", eq(at("github", "ref"), "nothing")), mark("true", eq(at("github", "actor"), "ADA")),
		sh("exit 1"), mark("after", nil), mark("notSuccess", eq(at("matrix", "go"), "1.26")), mark("failed", call("failure")),
		mark("always", call("always")), mark("cancelled", call("cancelled")),
	).start()
	e := w.ending(events.Failed)
	if want := "plain success/success 0, false skipped/skipped -1, true success/success 0, 3 failure/failure 1, " +
		"after skipped/skipped -1, notSuccess skipped/skipped -1, failed success/success 0, always success/success 0, cancelled skipped/skipped -1"; outcomes(e.Steps) != want {
		t.Errorf("got  %s\nwant %s", outcomes(e.Steps), want)
	}
	if want := `step "Run exit 1": exited with 1`; e.Reason != want {
		t.Errorf("reason %q, want %q", e.Reason, want)
	}
}

func TestStepsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		step    pipeline.StepSpec
		verdict events.Verdict
		reason  string
	}{
		"exit":         {sh("exit 7"), events.Failed, "exited with 7"},
		"signal":       {sh("kill -9 $$"), events.Failed, "was ended by signal 9 (killed)"},
		"bad output":   {sh(`echo nonsense >> "$GITHUB_OUTPUT"`), events.Failed, `$GITHUB_OUTPUT: command: bad line 1: "nonsense": want name=value or name<<delimiter`},
		"no delimiter": {sh(`printf 'A<<E\nx\n' >> "$GITHUB_ENV"`), events.Failed, `$GITHUB_ENV: command: bad line 1: no line "E" ends the value of "A"`},
		"huge output":  {sh(`head -c 5000000 /dev/zero >> "$GITHUB_OUTPUT"`), events.Failed, "$GITHUB_OUTPUT: is larger than 4194304 bytes"},
		"no file":      {sh(`rm "$GITHUB_ENV"; mkdir "$GITHUB_ENV"`), events.Failed, "$GITHUB_ENV: is no longer a file"},
		"mask":         {sh(`head -c 3000000 /dev/zero | tr '\0' x | sed 's/^/::add-mask::/'`), events.Failed, "the value of ::add-mask:: is too long"},
		"no folder":    {pipeline.StepSpec{Run: template("true"), WorkingDirectory: ptr(template("nowhere"))}, events.Failed, "working-directory: there is no folder"},
		"no such":      {pipeline.StepSpec{Run: template("true"), Shell: "fish {0}"}, events.Failed, "shell: fish: file does not exist in"},
		"bad shell":    {pipeline.StepSpec{Run: template("true"), Shell: "zsh"}, events.Failed, `shell: "zsh" is not sh, bash, python or pwsh`},
		"bad if":       {pipeline.StepSpec{Run: template("true"), If: call("fromJSON", at("matrix", "go", "x"))}, events.Failed, "if: "},
		"bad env":      {pipeline.StepSpec{Run: template("true"), Env: []pipeline.EnvVar{{Name: "A=B", Value: template("x")}}}, events.Failed, `env "A=B": cannot be a variable`},
		"bad timeout":  {pipeline.StepSpec{Run: template("true"), TimeoutExpr: ptr(template("soon"))}, events.Failed, `timeout-minutes: "soon" is not a number`},
		"timeout":      {pipeline.StepSpec{Run: template("sleep 1000"), TimeoutMinutes: 0.003}, events.Timeout, "took longer than 180ms"},
		"no shell":     {pipeline.StepSpec{Run: template("true"), Env: []pipeline.EnvVar{{Name: "PATH", Value: template("/nowhere")}}}, events.Infra, "the image has no sh: use an image with a shell"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker(t, newPlane(t), c.step).start()
			e := w.ending(c.verdict)
			if !strings.Contains(e.Reason, c.reason) || !strings.Contains(w.plane.log(), c.reason) {
				t.Errorf("reason %q, want %q; log:\n%.1000s", e.Reason, c.reason, w.plane.log())
			}
		})
	}
}

func TestTimedOutIsAFailureInContexts(t *testing.T) {
	slow, after := sh("sleep 1000"), sh("echo after")
	slow.ID, slow.TimeoutMinutes = "slow", 0.003
	after.If = &expression.Node{Op: expression.And, Args: []*expression.Node{call("failure"), eq(at("steps", "slow", "outcome"), "failure")}}
	w := newWorker(t, newPlane(t), slow, after).start()
	if got := outcomes(w.ending(events.Timeout).Steps); got != "slow timeout/timeout -1, 1 success/success 0" {
		t.Error(got)
	}
}

func TestJobThatCannotBegin(t *testing.T) {
	w := newWorker(t, newPlane(t), sh("echo never"))
	w.launch.Job.Env = []pipeline.EnvVar{{Name: "X", Value: template(call("fromJSON", at("matrix", "x", "y")))}}
	e := w.start().ending(events.Failed)
	if !strings.Contains(e.Reason, "env X: ") || outcomes(e.Steps) != "0 skipped/skipped -1" {
		t.Errorf("%s; %s", e.Reason, outcomes(e.Steps))
	}
	w = newWorker(t, newPlane(t), sh("echo never"))
	w.launch.Workspace = filepath.Join(w.dir, "launch.json", "x")
	e = w.start().ending(events.Infra)
	if !strings.Contains(e.Reason, "workspace: ") {
		t.Error(e.Reason)
	}
}

func TestWithoutRoomForFilesTheTroubleIsTold(t *testing.T) {
	w := newWorker(t, newPlane(t), sh("echo never"))
	// Beside the launch nobody can make a folder, not even root.
	w.file = "/proc/self/fd/3"
	w.env = []string{"TMPDIR=/nowhere"}
	if e := w.start().ending(events.Infra); !strings.Contains(e.Reason, "folder for temporary files") {
		t.Error(e.Reason)
	}
}

func TestHashFiles(t *testing.T) {
	hash := sh("echo never used")
	hash.Run = template("echo 'hash=", call("hashFiles", &expression.Node{Op: expression.Lit, Value: "**/go.sum"}), "='; echo none=", call("hashFiles", &expression.Node{Op: expression.Lit, Value: "nothing"}), "=")
	w := newWorker(t, newPlane(t), sh("mkdir -p a/b; echo x > go.sum; echo y > a/b/go.sum; echo z > go.mod"), hash).start()
	w.ending(events.Succeeded)
	y, x := sha256.Sum256([]byte("y\n")), sha256.Sum256([]byte("x\n"))
	if want := fmt.Sprintf("\nhash=%x=\nnone==\n", sha256.Sum256(append(y[:], x[:]...))); !strings.Contains(w.plane.log(), want) {
		t.Errorf("want %s in %s", want, w.plane.log())
	}
}

func TestSecrets(t *testing.T) {
	step := sh(`
echo "the password is $PASSWORD"
printf "${PASSWORD%cret}"; sleep 0.3; echo cret
printf '%s' "$PASSWORD" | base64
echo "$KEY"
echo '::add-mask::later-secret'
echo "now later-secret is hidden"
grep -o '"token":"[^"]*"' ../launch.json
echo "pw=$PASSWORD" >> "$GITHUB_OUTPUT"
echo "fine=yes" >> "$GITHUB_OUTPUT"
echo "summary of $PASSWORD" >> "$GITHUB_STEP_SUMMARY"
tr '\0' ' ' < /proc/$PPID/cmdline; tr '\0' ' ' < /proc/$PPID/environ`)
	step.ID, step.Name = "s", ptr(template("with ", at("secrets", "PASSWORD")))
	step.Env = []pipeline.EnvVar{{Name: "PASSWORD", Value: template(at("secrets", "PASSWORD"))}, {Name: "KEY", Value: template(at("secrets", "KEY"))}}
	p := newPlane(t)
	p.secrets = map[string]string{"PASSWORD": "hunter2-secret", "KEY": "-----BEGIN-----\nabcdefgh\nijklmnop\n-----END-----\n"}
	w := newWorker(t, p, step)
	w.launch.HasSecrets = true
	w.launch.Job.Outputs = []pipeline.EnvVar{{Name: "pw", Value: template(at("steps", "s", "outputs", "pw"))}, {Name: "fine", Value: template(at("steps", "s", "outputs", "fine"))}}
	e := w.start().ending(events.Succeeded)
	log := w.plane.log()
	for _, want := range []string{"==> with ***\n", "the password is ***\n", "\n***\n", "now *** is hidden\n", `"token":"***"`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log", want)
		}
	}
	for _, no := range []string{"hunter2", "aHVudGVyMi", "abcdefgh", "ijklmnop", "later-secret", token} {
		if strings.Contains(log, no) {
			t.Errorf("%s is in the log:\n%s", no, log)
		}
	}
	if want := map[string]string{"fine": "yes"}; !reflect.DeepEqual(e.Outputs, want) {
		t.Errorf("outputs %q, want %q", e.Outputs, want)
	}
	if got := w.plane.steps[1].Summary; got != "summary of ***\n" {
		t.Errorf("summary %q", got)
	}
}

func TestUsage(t *testing.T) {
	for _, launch := range []string{"", "{", "{}", `{"run":"r","worker":"w","jobSpec":{"key":"k"},"token":""}`, `{"run":"r","worker":"w","jobSpec":{"key":"k"},"token":"t","report":"ftp://x"}`} {
		w := newWorker(t, newPlane(t))
		if err := os.WriteFile(filepath.Join(w.dir, "launch.json"), []byte(launch), 0o600); err != nil {
			t.Fatal(err)
		}
		w.restart().exit(agent.ExitUsage)
	}
}
