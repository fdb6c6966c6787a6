package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/shared/client"
)

// accessPage is who may do what.
type accessPage struct {
	Me     client.Me
	Tokens []client.Token
	Grants []client.Grant
	Audit  []client.AuditEntry
	More   string // address of older entries of the audit
	Mine   bool   // the caller may have tokens
	Grant  bool   // and say who may what
	Roles  []string
	Made   *client.MadeToken // just now
}

// roles, the least first.
var roles = []string{"viewer", "developer", "operator", "admin"}

// showAccess shows who may do what: of it, what the caller may see.
func (c *Console) showAccess(r *http.Request) (view, error) {
	p, err := c.gatherAccess(r)
	return view{Page: "access", Title: "Access", Tab: "access", Data: p}, err
}

func (c *Console) gatherAccess(r *http.Request) (accessPage, error) {
	p := accessPage{Roles: roles}
	var err error
	if p.Me, err = c.api.Me(r.Context()); err != nil {
		return p, err
	}
	tokens, err := c.api.Tokens(r.Context(), slices.Contains(p.Me.Permissions, "manage-access"))
	p.Tokens, p.Mine = tokens.Tokens, err == nil
	if err = mayNot(err); err != nil {
		return p, err
	}
	grants, err := c.api.Access(r.Context())
	p.Grants, p.Grant = grants.Grants, err == nil
	if err = mayNot(err); err != nil {
		return p, err
	}
	audit, err := c.api.Audit(r.Context(), 50, r.URL.Query().Get("cursor"))
	p.Audit = audit.Entries
	if audit.Next != "" {
		p.More = address("/access", "cursor", audit.Next)
	}
	return p, mayNot(err)
}

// mayNot takes a refusal for what it is: a part of the page that is not there.
func mayNot(err error) error {
	if errors.Is(err, client.ErrDenied) || errors.Is(err, client.ErrUnavailable) {
		return nil
	}
	return err
}

// makeToken makes an API token and shows its secret, this once.
func (c *Console) makeToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	ctx := c.proven(r)
	made, err := c.api.MakeToken(ctx, client.TokenRequest{
		Name: r.PostFormValue("name"), Role: r.PostFormValue("role"), Projects: strings.Fields(r.PostFormValue("projects")), Days: 90,
	})
	if err != nil {
		c.write(w, r, c.trouble(r, err))
		return
	}
	p, err := c.gatherAccess(r)
	if err != nil {
		c.write(w, r, c.trouble(r, err))
		return
	}
	p.Made = &made
	c.write(w, r, view{Page: "access", Title: "Access", Tab: "access", Data: p})
}

// grant gives a role, or takes it away.
func (c *Console) grant(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	ctx := c.proven(r)
	b := client.Binding{Subject: r.PostFormValue("subject"), Project: r.PostFormValue("project"), Role: r.PostFormValue("role")}
	var err error
	if r.PostFormValue("take") != "" {
		err = c.api.Revoke(ctx, b.Subject, b.Project)
	} else {
		_, err = c.api.Grant(ctx, b)
	}
	if err != nil {
		c.write(w, r, c.trouble(r, err))
		return
	}
	http.Redirect(w, r, "/access#grants", http.StatusSeeOther)
}
