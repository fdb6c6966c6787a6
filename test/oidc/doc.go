// Package oidc tries the login against a real provider of OpenID Connect: that
// of github.com/zitadel/oidc, which is certified, in this process: the client of it
// alone, and a browser at the console of a `relevo up`. What it links stays out of
// the program's own module.
//
//	cd test/oidc && go test ./...
package oidc
