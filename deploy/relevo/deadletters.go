package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/relevo-ci/relevo/shared/cli"
	"github.com/relevo-ci/relevo/shared/client"
)

// deadLettersCommand lists events that could not be delivered, and sends them
// again.
func deadLettersCommand() *cobra.Command {
	var r remote
	var limit int
	list := func(cmd *cobra.Command, _ []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		letters, err := c.DeadLetters(cmd.Context(), limit)
		if err != nil {
			return answered(err)
		}
		return printDeadLetters(cmd.OutOrStdout(), letters)
	}
	cmd := &cobra.Command{
		Use:   "deadletters",
		Short: "List events that could not be delivered; send them again",
		Long: `List events that could not be delivered, with the cause of each.

What a run waits for is sent again without them: replay one once what it
failed for is mended. One that fails again is listed again.`,
		Args: cobra.NoArgs, RunE: list,
	}
	one := &cobra.Command{Use: "list", Short: "List them, newest first", Args: cobra.NoArgs, RunE: list}
	cmd.PersistentFlags().StringVar(&r.server, "server", "", "address of the API (RELEVO_API_LISTEN, http://127.0.0.1:8470)")
	for _, c := range []*cobra.Command{cmd, one} {
		c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	}
	cmd.AddCommand(one, replayCommand(&r), discardCommand(&r))
	return cmd
}

func replayCommand(r *remote) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "replay ID... | --all",
		Short: "Send events again",
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usage(errors.New("deadletters replay: name letters, or --all"))
			}
			c, err := r.client()
			if err != nil {
				return err
			}
			if all {
				if args, err = open(cmd.Context(), c); err != nil {
					return answered(err)
				}
			}
			var errs []error
			for _, id := range args {
				_, err := c.ReplayDeadLetter(cmd.Context(), id)
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", id, err))
					continue
				}
				fmt.Fprintln(cmd.OutOrStdout(), id, "sent again")
			}
			if err := errors.Join(errs...); err != nil {
				return answered(err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every one that was not sent again yet")
	return cmd
}

// open are the ids of the letters that nobody sent again, oldest first: as the
// events came.
func open(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.DeadLetters(ctx, 1000)
	if err != nil {
		return nil, err
	}
	var ids []string
	for i := len(list.Letters) - 1; i >= 0; i-- {
		if l := list.Letters[i]; l.Replayed == nil {
			ids = append(ids, l.ID)
		}
	}
	return ids, nil
}

func discardCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "discard ID",
		Short: "Drop one for good",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			if err := c.DiscardDeadLetter(cmd.Context(), args[0]); err != nil {
				return answered(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), args[0], "dropped")
			return nil
		},
	}
}

func printDeadLetters(w io.Writer, list client.DeadLetters) error {
	if list.Kept == 0 && list.Dropped == 0 {
		_, err := fmt.Fprintln(w, "no dead letters")
		return err
	}
	rows := make([][]string, 0, len(list.Letters))
	for _, l := range list.Letters {
		state := "open"
		if l.Replayed != nil {
			state = "sent again " + l.Replayed.Local().Format(time.TimeOnly)
		}
		cause := l.Reason
		if l.Code > 0 {
			cause = fmt.Sprintf("%d %s", l.Code, cause)
		}
		rows = append(rows, []string{
			l.ID, l.Last.Local().Format(time.DateTime), strconv.Itoa(l.Count), string(l.Type), l.Subject, l.Destination, state, cause,
		})
	}
	if err := cli.Table(w, 0, []string{"ID", "LAST", "COUNT", "TYPE", "SUBJECT", "DESTINATION", "STATE", "CAUSE"}, rows); err != nil {
		return err
	}
	if list.Dropped > 0 {
		_, err := fmt.Fprintf(w, "%d more had to go for lack of room\n", list.Dropped)
		return err
	}
	return nil
}
