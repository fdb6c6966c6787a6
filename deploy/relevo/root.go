package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// Exit statuses, as every command keeps them.
const (
	exitOK        = 0
	exitFailed    = 1   // a job failed
	exitUsage     = 2   // usage, or a bad file
	exitInfra     = 3   // what runs the jobs failed
	exitCancelled = 130 // as a shell says of Ctrl-C
)

// status is an error that carries its exit status; its text was shown already
// where err is nil.
type status struct {
	code int
	err  error
}

func (s *status) Error() string {
	if s.err == nil {
		return fmt.Sprintf("exit status %d", s.code)
	}
	return s.err.Error()
}

func (s *status) Unwrap() error { return s.err }

func usage(err error) error { return &status{code: exitUsage, err: err} }

// infra blames what runs the jobs, unless err says already who is to blame.
func infra(err error) error {
	var s *status
	if errors.As(err, &s) {
		return err
	}
	return &status{code: exitInfra, err: err}
}

func execute(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use:   "relevo",
		Short: "Run CI/CD pipelines, here or on a cluster",
		Long: `Relevo runs pipelines written in the words of GitHub Actions workflows.

  relevo run                    run this project's pipeline on this machine
  relevo lint                   check pipeline files
  relevo up                     serve pipelines on this host

Exit status: 0 succeeded, 1 a job failed, 2 usage or a bad file,
3 infrastructure, 130 cancelled.`,
		Version: version, SilenceUsage: true, SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(runCommand(), lintCommand(), upCommand(), submitCommand(), getCommand(),
		explainCommand(), logsCommand(), cancelCommand(), retryCommand(), approveCommand(),
		deliveriesCommand(), replayDeliveryCommand(), deadLettersCommand(), rebuildCommand(),
		loginCommand(), tokenCommand(), accessCommand(), auditCommand())
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var s *status
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &s):
		if s.err != nil {
			fmt.Fprintln(os.Stderr, "relevo:", s.err)
		}
		return s.code
	}
	// Cobra's own errors are about usage.
	fmt.Fprintln(os.Stderr, "relevo:", err)
	return exitUsage
}
