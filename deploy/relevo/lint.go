package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/relevo-ci/relevo/shared/workflow"
)

func lintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint [FILE...]",
		Short: "Check pipeline files, all errors at once",
		Long: `Check pipeline files: those named, else all of .relevo and .github/workflows.

Every error is printed as file:line:column: message (hint).`,
		Example: "  relevo lint\n  relevo lint .relevo/build.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			checked, errs, err := workflow.Lint(".", args...)
			if err != nil {
				return usage(err)
			}
			for _, e := range errs {
				fmt.Fprintln(cmd.ErrOrStderr(), e.Error())
			}
			if len(errs) > 0 {
				return &status{code: exitUsage}
			}
			for _, f := range checked {
				fmt.Fprintln(cmd.OutOrStdout(), f+": ok")
			}
			return nil
		},
	}
}
