package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relevo-ci/relevo/shared/cli"
	"github.com/relevo-ci/relevo/shared/client"
)

// deliveriesCommand lists what came from outside.
func deliveriesCommand() *cobra.Command {
	var r remote
	var filter client.DeliveryFilter
	var limit int
	cmd := &cobra.Command{
		Use:   "deliveries",
		Short: "List what forges and other systems delivered",
		Long: `List what forges and other systems delivered, and what came of it.

relevo explain --delivery ID tells of each pipeline file why it ran or did not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			list, err := c.Deliveries(cmd.Context(), filter, limit, "")
			if err != nil {
				return answered(err)
			}
			return printDeliveries(cmd.OutOrStdout(), list.Deliveries)
		},
	}
	cmd.Flags().StringVar(&filter.Source, "source", "", "only those of this forge; or cloudevent, schedule")
	cmd.Flags().StringVar(&filter.Repository, "repository", "", "only those of this repository, owner/name")
	cmd.Flags().IntVar(&limit, "limit", 20, "how many at most")
	return r.bind(cmd)
}

// replayDeliveryCommand has deliveries worked on again.
func replayDeliveryCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "replay DELIVERY…",
		Short: "Have deliveries worked on again",
		Long: `Have deliveries worked on again: what could not be started then may be now.
What a delivery started is not started twice.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			for _, id := range args {
				d, err := c.ReplayDelivery(cmd.Context(), id)
				if err != nil {
					return answered(fmt.Errorf("%s: %w", id, err))
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s, round %d\n", id, d.State, d.Round)
			}
			return nil
		},
	}
	return r.bind(cmd)
}

func printDeliveries(w io.Writer, list []client.Delivery) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no deliveries")
		return err
	}
	rows := make([][]string, 0, len(list))
	for _, d := range list {
		rows = append(rows, []string{
			d.ID, d.Received.Local().Format(time.DateTime), d.Source, named(d), d.Repository, d.Ref, d.State, outcomes(d),
		})
	}
	return cli.Table(w, 0, []string{"ID", "RECEIVED", "SOURCE", "EVENT", "REPOSITORY", "REF", "STATE", "OUTCOME"}, rows)
}

func named(d client.Delivery) string {
	if d.Action == "" {
		return d.Event
	}
	return d.Event + " " + d.Action
}

// outcomes are counted in a list: of one delivery explain tells them.
func outcomes(d client.Delivery) string {
	count := map[string]int{}
	for _, o := range d.Outcomes {
		count[o.Result]++
	}
	var parts []string
	for _, result := range []string{"started", "skipped", "refused"} {
		if count[result] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[result], result))
		}
	}
	if len(parts) == 0 {
		return d.Reason
	}
	return strings.Join(parts, ", ")
}

// printDelivery says of each pipeline file why it ran or did not.
func printDelivery(w io.Writer, d client.Delivery) {
	what := named(d)
	if d.Repository != "" {
		what += " in " + d.Repository
	}
	if d.Ref != "" {
		what += " at " + d.Ref
	}
	if d.Actor != "" {
		what += " by " + d.Actor
	}
	fmt.Fprintf(w, "%s is %s: %s from %s\n", d.ID, d.State, what, d.Source)
	if d.Reason != "" {
		fmt.Fprintf(w, "  %s\n", d.Reason)
	}
	if !d.NotUntil.IsZero() {
		fmt.Fprintf(w, "  it is tried again at %s\n", d.NotUntil.Local().Format(time.DateTime))
	}
	for _, o := range d.Outcomes {
		head := o.Result
		if o.Run != "" {
			head += " " + o.Run
		}
		fmt.Fprintf(w, "\n%s: %s\n", o.File, head)
		for line := range strings.Lines(o.Reason) {
			fmt.Fprintf(w, "  %s\n", strings.TrimRight(line, "\n"))
		}
	}
}
