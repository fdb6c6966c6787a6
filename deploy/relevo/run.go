package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow"
)

// runFlags are the flags of `relevo run`.
type runFlags struct {
	machine
	job, events, event, payload string
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [FILE]",
		Short: "Run a pipeline on this machine",
		Long: `Run a pipeline on this machine and show how it goes.

FILE may be left out where the project has one pipeline in .relevo.
Steps run in the current folder: as processes without isolation
(--provider process), or in containers with that folder mounted at
/workspace (--provider docker). Ctrl-C cancels, twice leaves at once.
A job that awaits an approval asks for it on the terminal.`,
		Example: `  relevo run
  relevo run .relevo/build.yaml --job test
  relevo run ci.yaml --provider docker --image golang:1.26
  relevo run ci.yaml --event push --payload push.json --events out.jsonl`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// A run is short, and its heap so small that by default it would be
			// collected all the time.
			debug.SetGCPercent(400)
			return run(cmd.Context(), f, args)
		},
	}
	f.bind(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&f.job, "job", "", "run only this job and those that it needs")
	flags.StringVar(&f.events, "events", "", "write every CloudEvent to this file, one a line")
	flags.StringVar(&f.event, "event", "workflow_dispatch", "the trigger's name")
	flags.StringVar(&f.payload, "payload", "", "file with the trigger's payload, JSON")
	return cmd
}

func run(ctx context.Context, f runFlags, args []string) error {
	file, err := pipelineFile(args)
	if err != nil {
		return usage(err)
	}
	trigger, err := f.trigger()
	if err != nil {
		return usage(err)
	}
	spec, errs, err := workflow.Load(".", file, inputs(trigger))
	if err != nil {
		return usage(err)
	}
	if len(errs) > 0 {
		fmt.Fprintln(os.Stderr, errs.Error())
		return &status{code: exitUsage}
	}
	if err := cmp.Or(only(spec, f.job), mayWait(spec, atTerminal())); err != nil {
		return usage(err)
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return usage(err)
	}
	req := events.RunRequested{
		RunRef: events.RunRef{Run: events.RunID(ulid.Make().String())}, Pipeline: spec.Name, File: file,
		Project: "local", Trigger: trigger, Spec: raw,
	}
	unheard()
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	s, err := newSession(ctx, f, spec, req)
	if err != nil {
		return infra(err)
	}
	defer s.close()
	return s.play(ctx, stop)
}

// pipelineFile is the file that was named, or the project's only one.
func pipelineFile(args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	all, err := workflow.Find(".")
	if err != nil {
		return "", err
	}
	switch len(all) {
	case 0:
		return "", errors.New("no pipeline file: name one, or put one into .relevo/")
	case 1:
		return all[0], nil
	}
	return "", fmt.Errorf("which pipeline? name one of: %s", strings.Join(all, ", "))
}

func (f runFlags) trigger() (events.Trigger, error) {
	t := head(".")
	t.Event = f.event
	if f.payload == "" {
		return t, nil
	}
	b, err := os.ReadFile(f.payload)
	if err != nil {
		return t, err
	}
	if !json.Valid(b) {
		return t, fmt.Errorf("%s: not JSON", f.payload)
	}
	t.Payload = b
	return t, nil
}

// inputs are those of the payload of a workflow_dispatch.
func inputs(t events.Trigger) map[string]any {
	var p struct {
		Inputs map[string]any `json:"inputs"`
	}
	if len(t.Payload) > 0 {
		_ = json.Unmarshal(t.Payload, &p) // a payload without inputs has none
	}
	return p.Inputs
}

// only leaves one job and those that it needs in the graph.
func only(spec *pipeline.Spec, id string) error {
	if id == "" {
		return nil
	}
	want := map[string]bool{id: true}
	for i := len(spec.Jobs) - 1; i >= 0; i-- { // needs come first, so go backwards
		if want[spec.Jobs[i].ID] {
			for _, n := range spec.Jobs[i].Needs {
				want[n] = true
			}
		}
	}
	var kept []pipeline.JobSpec
	var ids []string
	found := false
	for _, j := range spec.Jobs {
		ids = append(ids, j.ID)
		found = found || j.ID == id
		if want[j.ID] {
			kept = append(kept, j)
		}
	}
	if !found {
		return fmt.Errorf("no job %q in %s: it has %s", id, spec.File, strings.Join(ids, ", "))
	}
	spec.Jobs = kept
	return nil
}

// head reads the checkout's ref and commit, as far as there is one.
func head(dir string) events.Trigger {
	var t events.Trigger
	b, err := os.ReadFile(filepath.Join(dir, ".git", "HEAD"))
	if err != nil {
		return t
	}
	line := strings.TrimSpace(string(b))
	ref, ok := strings.CutPrefix(line, "ref: ")
	if !ok {
		t.SHA = line
		return t
	}
	t.Ref = ref
	if b, err := os.ReadFile(filepath.Join(dir, ".git", filepath.FromSlash(ref))); err == nil {
		t.SHA = strings.TrimSpace(string(b))
		return t
	}
	packed, err := os.ReadFile(filepath.Join(dir, ".git", "packed-refs"))
	if err != nil {
		return t
	}
	for line := range strings.Lines(string(packed)) {
		if sha, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == ref {
			t.SHA = sha
		}
	}
	return t
}

// osLabels are the labels that this machine answers to.
func osLabels() []string {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	labels := []string{"local", "self-hosted", runtime.GOOS, runtime.GOARCH}
	if arch != "" && arch != runtime.GOARCH {
		labels = append(labels, arch)
	}
	if runtime.GOOS == "linux" {
		labels = append(labels, "ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04")
	}
	return labels
}
