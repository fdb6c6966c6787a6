package agent_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// TestAnnotations: what steps print as such is reported with the step, and with
// the end; the log has it as it was printed; no secret is in either.
func TestAnnotations(t *testing.T) {
	p := newPlane(t)
	p.secrets = map[string]string{"PW": "hunter2-hunter2"}
	w := newWorker(t, p, sh(`
echo "::add-mask::later-s3cret"
echo "::error file=$PWD/src/a.go,line=3,col=5,title=About later-s3cret::it is hunter2-hunter2%0Aand more"
echo "::warning file=../outside,line=9::elsewhere"
yes '::notice::again' | head -n 40
`), sh(`echo "::error::second"; exit 3`))
	w.launch.HasSecrets = true
	e := w.start().ending(events.Failed)
	want := []events.Annotation{
		{Level: "error", Message: "it is ***\nand more", Title: "About ***", File: "src/a.go", Line: 3, Column: 5},
		{Level: "warning", Message: "elsewhere"},
	}
	for range execution.MostAnnotations {
		want = append(want, events.Annotation{Level: "notice", Message: "again"})
	}
	if got := e.Steps[0].Annotations; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := e.Steps[1].Annotations; len(got) != 1 || got[0].Message != "second" {
		t.Errorf("%+v", got)
	}
	if got := w.plane.steps[1].Result.Annotations; !reflect.DeepEqual(got, want) {
		t.Errorf("with the step %+v", got)
	}
	log := w.plane.log()
	if strings.Contains(log, "hunter2") || !strings.Contains(log, "::error file=") || strings.Count(log, "::notice::again\n") != 40 {
		t.Errorf("log:\n%s", log)
	}
}

// TestSecretsAreNotCutInHalf: of a message that is too long no half of a secret is
// left at its end.
func TestSecretsAreNotCutInHalf(t *testing.T) {
	p := newPlane(t)
	p.secrets = map[string]string{"PW": "hunter2-hunter2"}
	w := newWorker(t, p, sh(`printf '::error::%4090shunter2-hunter2\n' . | tr ' ' x`))
	w.launch.HasSecrets = true
	e := w.start().ending(events.Succeeded)
	if got := e.Steps[0].Annotations; len(got) != 1 || strings.Contains(got[0].Message, "hunter") || len(got[0].Message) > execution.MostMessage {
		t.Errorf("%+v", got)
	}
}

// TestSecretsWithSlashes: a path is made short after what is secret is out of it.
func TestSecretsWithSlashes(t *testing.T) {
	p := newPlane(t)
	p.secrets = map[string]string{"PW": "hunter2//hunter2"}
	w := newWorker(t, p, sh(`echo "::error file=$PWD/hunter2//hunter2,line=1::m"`))
	w.launch.HasSecrets = true
	e := w.start().ending(events.Succeeded)
	if got := e.Steps[0].Annotations; len(got) != 1 || got[0].File != "***" {
		t.Errorf("%+v", got)
	}
}
