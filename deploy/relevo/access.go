package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relevo-ci/relevo/shared/cli"
	"github.com/relevo-ci/relevo/shared/client"
)

// loginCommand prints how a browser gets in.
func loginCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Print a link that lets a browser in, once",
		Long: `Print a link that lets a browser into the console as whoever asks: once, and
within ten minutes. It is for who is on the server's machine, or has
RELEVO_API_TOKEN. Where people log in with a provider, they open /login.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			l, err := c.MakeLink(cmd.Context())
			if err != nil {
				return answered(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), l.URL)
			return nil
		},
	}
	return r.bind(cmd)
}

// tokenCommand makes, lists and revokes API tokens.
func tokenCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use: "token", Short: "Make, list and revoke API tokens",
		Long: `Make, list and revoke API tokens. A token may what its maker may, within its
role and projects, and ends by itself. Commands show the one in
RELEVO_API_TOKEN.`,
	}
	cmd.PersistentFlags().StringVar(&r.server, "server", "", "address of the API (RELEVO_API_LISTEN, http://127.0.0.1:8470)")
	cmd.AddCommand(tokenCreateCommand(&r), tokenListCommand(&r), tokenRevokeCommand(&r))
	return cmd
}

func tokenCreateCommand(r *remote) *cobra.Command {
	var ask client.TokenRequest
	var expires string
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make a token and print it: it is shown this once",
		Example: `  relevo token create deploys --role developer --project 'github/acme/*' --expires 30d`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask.Name = args[0]
			if expires != "" {
				var err error
				if ask.Days, err = days(expires); err != nil {
					return usage(err)
				}
			}
			c, err := r.client()
			if err != nil {
				return err
			}
			made, err := c.MakeToken(cmd.Context(), ask)
			if err != nil {
				return answered(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), made.Secret)
			fmt.Fprintf(cmd.ErrOrStderr(), "token %s ends %s; it is not shown again\n", made.ID, made.Ends.Local().Format(time.DateTime))
			return nil
		},
	}
	cmd.Flags().StringVar(&ask.Role, "role", "viewer", "the most that it may be: viewer, developer, operator, admin")
	cmd.Flags().StringSliceVar(&ask.Projects, "project", []string{"*"}, "where: projects, folders (github/acme/*), or * for everything")
	cmd.Flags().StringVar(&expires, "expires", "", "after what time it ends: 30d, 12w or 1y at most (90d)")
	return cmd
}

// days reads 30d, 12w or 1y.
func days(text string) (int, error) {
	n, unit := 0, ""
	if _, err := fmt.Sscanf(text, "%d%s", &n, &unit); err == nil && n > 0 && n <= 366 {
		if each, ok := map[string]int{"d": 1, "w": 7, "y": 365}[unit]; ok && n*each <= 365 {
			return n * each, nil
		}
	}
	return 0, fmt.Errorf("--expires %s: it is none of 30d, 12w … 1y at most", text)
}

func tokenListCommand(r *remote) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List your tokens, without their secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			list, err := c.Tokens(cmd.Context(), all)
			if err != nil {
				return answered(err)
			}
			return printTokens(cmd.OutOrStdout(), list.Tokens)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those of everybody")
	return cmd
}

func printTokens(w io.Writer, tokens []client.Token) error {
	rows := make([][]string, 0, len(tokens))
	for _, t := range tokens {
		used := "never"
		if !t.Used.IsZero() {
			used = t.Used.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{t.ID, t.Name, t.Maker, t.Role, strings.Join(t.Projects, " "), t.Ends.Local().Format(time.DateOnly), used})
	}
	return cli.Table(w, 0, []string{"ID", "NAME", "MAKER", "ROLE", "PROJECTS", "ENDS", "USED"}, rows)
}

func tokenRevokeCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID...", Short: "Revoke tokens at once", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			var errs []error
			for _, id := range args {
				if err := c.RevokeToken(cmd.Context(), id); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", id, err))
					continue
				}
				fmt.Fprintln(cmd.OutOrStdout(), id, "revoked")
			}
			if err := errors.Join(errs...); err != nil {
				return answered(err)
			}
			return nil
		},
	}
}

// accessCommand gives roles and takes them away.
func accessCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use: "access", Short: "Give people and groups roles in projects",
		Long: `Give people and groups roles in projects: viewer, developer, operator or
admin. A subject is user:ADDRESS or group:NAME; a project may be a folder
(github/acme/*) or * for everything.`,
		Example: `  relevo access grant group:core developer 'github/acme/*'
  relevo access revoke user:ana@example.com '*'`,
	}
	cmd.PersistentFlags().StringVar(&r.server, "server", "", "address of the API (RELEVO_API_LISTEN, http://127.0.0.1:8470)")
	cmd.AddCommand(accessGrantCommand(&r), accessRevokeCommand(&r), accessListCommand(&r))
	return cmd
}

func accessGrantCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use: "grant SUBJECT ROLE PROJECT", Short: "Give a role, in place of the one there", Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			b, err := c.Grant(cmd.Context(), client.Binding{Subject: args[0], Role: args[1], Project: args[2]})
			if err != nil {
				return answered(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), b.Subject, b.Role, b.Project)
			return nil
		},
	}
}

func accessRevokeCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use: "revoke SUBJECT PROJECT", Short: "Take a role away", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			if err := c.Revoke(cmd.Context(), args[0], args[1]); err != nil {
				return answered(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), args[0], args[1], "taken away")
			return nil
		},
	}
}

func accessListCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List who has which role", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			list, err := c.Access(cmd.Context())
			if err != nil {
				return answered(err)
			}
			rows := make([][]string, 0, len(list.Grants))
			for _, g := range list.Grants {
				rows = append(rows, []string{g.Subject, g.Role, g.Project, g.By})
			}
			return cli.Table(cmd.OutOrStdout(), 0, []string{"SUBJECT", "ROLE", "PROJECT", "BY"}, rows)
		},
	}
}

// auditCommand lists who did what.
func auditCommand() *cobra.Command {
	var r remote
	var limit int
	cmd := &cobra.Command{
		Use: "audit", Short: "List who did what, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			page, err := c.Audit(cmd.Context(), limit, "")
			if err != nil {
				return answered(err)
			}
			rows := make([][]string, 0, len(page.Entries))
			for _, e := range page.Entries {
				rows = append(rows, []string{e.At.Local().Format(time.DateTime), e.Name, e.Via, e.Action, e.Target, e.Outcome})
			}
			return cli.Table(cmd.OutOrStdout(), 0, []string{"AT", "WHO", "VIA", "ACTION", "TARGET", "OUTCOME"}, rows)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return r.bind(cmd)
}
