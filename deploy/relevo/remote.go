package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/shared/cli"
	"github.com/relevo-ci/relevo/shared/client"
)

// remote is what the commands share that talk to a `relevo up`.
type remote struct{ server string }

func (r *remote) bind(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&r.server, "server", "", "address of the API (RELEVO_API_LISTEN, http://127.0.0.1:8470)")
	return cmd
}

func (r *remote) client() (*client.Client, error) {
	cfg, err := config.FromEnvironment()
	if err != nil {
		return nil, usage(err)
	}
	if r.server == "" {
		r.server = "http://" + cfg.API.Listen
	}
	c, err := client.New(r.server, cfg.API.Token.Reveal())
	if err != nil {
		return nil, usage(err)
	}
	return c, nil
}

// answered sorts errors of the API: what the caller can mend is usage.
func answered(err error) error {
	var p *client.Problem
	if errors.As(err, &p) && p.Status >= 400 && p.Status < 500 {
		return usage(err)
	}
	return infra(err)
}

func submitCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "submit FILE",
		Short: "Give a pipeline to a running relevo",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := os.ReadFile(args[0])
			if err != nil {
				return usage(err)
			}
			c, err := r.client()
			if err != nil {
				return err
			}
			a, err := c.Submit(cmd.Context(), client.Submission{File: args[0], Source: string(source)}, "")
			if err != nil {
				return answered(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), a.Run)
			return nil
		},
	}
	return r.bind(cmd)
}

func getCommand() *cobra.Command {
	var r remote
	var filter client.RunFilter
	var limit int
	cmd := &cobra.Command{
		Use:   "get [RUN]",
		Short: "List runs, or show one with its jobs",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			defer func() { _ = w.Flush() }()
			if len(args) == 1 {
				run, err := c.Run(cmd.Context(), args[0])
				if err != nil {
					return answered(err)
				}
				printRun(w, run)
				return nil
			}
			list, err := c.Runs(cmd.Context(), filter, limit, "")
			if err != nil {
				return answered(err)
			}
			fmt.Fprintln(w, "RUN\tPIPELINE\tSTATE\tREQUESTED\tTOOK")
			for _, run := range list.Runs {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", run.ID, run.Pipeline, run.State, run.Requested.Local().Format(time.DateTime), took(run.Started, run.Ended))
			}
			return nil
		},
	}
	filterFlags(cmd, &filter)
	cmd.Flags().IntVar(&limit, "limit", 20, "how many at most")
	return r.bind(cmd)
}

func printRun(w io.Writer, run client.Run) {
	fmt.Fprintf(w, "RUN\tPIPELINE\tSTATE\tTOOK\tREASON\n%s\t%s\t%s\t%s\t%s\n\n", run.ID, run.Pipeline, run.State, took(run.Started, run.Ended), run.Reason)
	fmt.Fprintln(w, "JOB\tNAME\tSTATE\tATTEMPTS\tREASON")
	for _, j := range run.Jobs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", j.Key, j.Name, j.State, len(j.Attempts), j.Reason)
	}
	printAnnotations(w, run.Jobs)
}

// filterFlags say which runs are listed.
func filterFlags(cmd *cobra.Command, filter *client.RunFilter) {
	cmd.Flags().StringSliceVar(&filter.States, "state", nil, "only runs in one of these states: RUNNING, FAILED …")
	cmd.Flags().StringVar(&filter.Pipeline, "pipeline", "", "only runs of this pipeline")
	cmd.Flags().StringVar(&filter.Repository, "repository", "", "only runs of this repository, owner/name")
	cmd.Flags().StringVar(&filter.Branch, "branch", "", "only runs of this branch, or of another ref by its full name")
	cmd.Flags().StringVar(&filter.Actor, "actor", "", "only runs that they started")
	cmd.Flags().StringVar(&filter.SHA, "sha", "", "only runs of commits that begin so")
	cmd.Flags().StringVar(&filter.Text, "search", "", "only runs that have this in a name")
}

func took(from, to time.Time) string {
	switch {
	case from.IsZero():
		return "-"
	case to.IsZero():
		return time.Since(from).Round(time.Second).String()
	}
	return to.Sub(from).Round(time.Millisecond).String()
}

func explainCommand() *cobra.Command {
	var r remote
	var delivery string
	cmd := &cobra.Command{
		Use:   "explain RUN | --delivery ID",
		Short: "Say why a run's jobs wait or went wrong, or why pipelines did not run",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (delivery == "") == (len(args) == 0) {
				return usage(errors.New("explain: name a run, or a delivery with --delivery"))
			}
			c, err := r.client()
			if err != nil {
				return err
			}
			if delivery != "" {
				d, err := c.Delivery(cmd.Context(), delivery)
				if err != nil {
					return answered(err)
				}
				printDelivery(cmd.OutOrStdout(), d)
				return nil
			}
			e, err := c.Explain(cmd.Context(), args[0])
			if err != nil {
				return answered(err)
			}
			return printExplanation(cmd.OutOrStdout(), e)
		},
	}
	cmd.Flags().StringVar(&delivery, "delivery", "", "a delivery: why each pipeline file ran or did not")
	return r.bind(cmd)
}

func cancelCommand() *cobra.Command {
	var r remote
	var reason string
	cmd := &cobra.Command{
		Use:   "cancel RUN | RUN.JOB",
		Short: "Cancel a run or one of its jobs",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			if strings.Contains(args[0], ".") {
				_, err = c.CancelJob(cmd.Context(), args[0], reason)
			} else {
				_, err = c.CancelRun(cmd.Context(), args[0], reason)
			}
			if err != nil {
				return answered(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), args[0], "CANCELLED")
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "shown to whoever asks why")
	return r.bind(cmd)
}

func retryCommand() *cobra.Command {
	var r remote
	var failed bool
	cmd := &cobra.Command{
		Use:   "retry RUN",
		Short: "Run a run that is over once more, or only what of it failed",
		Long: `Run a run that is over once more, as a run of its own, whose id is printed.

With --failed only the jobs that did not succeed run again (they failed, timed
out, were cancelled or were skipped), and those that need them. The other ones
are carried over: they do not run, and those that need them read their outputs.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			again := c.RetryRun
			if failed {
				again = c.RetryFailed
			}
			a, err := again(cmd.Context(), args[0], "")
			if err != nil {
				return answered(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), a.Run)
			return nil
		},
	}
	cmd.Flags().BoolVar(&failed, "failed", false, "run again only the jobs that did not succeed, and those that need them")
	return r.bind(cmd)
}

func logsCommand() *cobra.Command {
	var r remote
	var follow bool
	var attempt int
	cmd := &cobra.Command{
		Use:   "logs RUN.JOB",
		Short: "Print a job's log",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			c, err := r.client()
			if err != nil {
				return err
			}
			_, err = c.Logs(ctx, args[0], client.LogOptions{Attempt: attempt, Follow: follow}, cmd.OutOrStdout())
			if errors.Is(err, context.Canceled) {
				return &status{code: exitCancelled}
			}
			if err != nil {
				return answered(err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the log is whole")
	cmd.Flags().IntVar(&attempt, "attempt", 0, "which attempt; 0: the last")
	return r.bind(cmd)
}

func printExplanation(w io.Writer, e client.Explanation) error {
	fmt.Fprintf(w, "%s is %s: %s\n", e.Run, e.State, e.Says)
	for _, j := range e.Jobs {
		fmt.Fprintf(w, "\n%s (%s): %s\n", j.Key, j.State, j.Says)
		for _, b := range j.Before {
			fmt.Fprintf(w, "  %s\n", b)
		}
		if !j.Starts.IsZero() {
			fmt.Fprintf(w, "  may start in about %s\n", max(time.Until(j.Starts), time.Second).Round(time.Second))
		}
		if len(j.Passed) > client.MostNamed { // else it is said above
			for _, n := range j.Passed {
				fmt.Fprintf(w, "  not on %s: %s\n", n.Node, n.Reason)
			}
		}
		for _, a := range j.Annotations {
			fmt.Fprintf(w, "  %s\n", cli.Annotation(a))
		}
		if r := j.Retries; r != nil {
			fmt.Fprintf(w, "  retries left: %d of the job's own, %d for lost workers\n", r.User, r.Infra)
		}
	}
	return nil
}
