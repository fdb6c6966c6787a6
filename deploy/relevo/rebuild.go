package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/relevo-ci/relevo/shared/client"
)

// rebuildCommand makes the lists again.
func rebuildCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Make the lists of runs, jobs and deliveries again",
		Long: `Make the lists of runs, jobs and deliveries again from what stands in the
ledger: after an upgrade that says so, or where they look wrong. The lists serve
on meanwhile. Broken off, it may be begun again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			done, err := c.Rebuild(cmd.Context(), func(at client.Rebuilt) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d parts, %d rows\n", at.Done, at.Of, at.Rows)
			})
			if err != nil {
				return answered(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d rows made, %d dropped\n", done.Rows, done.Dropped)
			if done.Skipped > 0 {
				return infra(fmt.Errorf("%d documents cannot be read: the server's log names them", done.Skipped))
			}
			return nil
		},
	}
	return r.bind(cmd)
}
