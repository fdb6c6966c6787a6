package console

import "net/http"

// accessPage is who may do what.
type accessPage struct{}

// showAccess shows who may do what.
func (c *Console) showAccess(*http.Request) (view, error) {
	return view{Page: "access", Title: "Access", Tab: "access", Data: accessPage{}}, nil
}
