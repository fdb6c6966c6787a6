package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func approveCommand() *cobra.Command {
	var r remote
	var refuse bool
	var reason string
	cmd := &cobra.Command{
		Use:   "approve RUN.JOB",
		Short: "Approve, or refuse, what a job awaits",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			answer := c.Approve
			if refuse {
				answer = c.Refuse
			}
			job, err := answer(cmd.Context(), args[0], reason)
			if err != nil {
				return answered(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), job.ID, job.State)
			return nil
		},
	}
	cmd.Flags().BoolVar(&refuse, "refuse", false, "refuse it: the job fails")
	cmd.Flags().StringVar(&reason, "reason", "", "shown with the job")
	return r.bind(cmd)
}
