package forge_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/forge"
)

// kindsOf are all forges that there are.
var kindsOf = append([]string{forge.GitHub}, others...)

var ping = map[string]string{
	forge.GitHub: "ping", forge.GitLab: "Pipeline Hook", forge.Gitea: "repository",
	forge.Bitbucket: "repo:fork", forge.Stash: "diagnostics:ping", forge.Gogs: "fork",
}

// TestSignatures takes the right ones, of either live secret, and no other.
func TestSignatures(t *testing.T) {
	body := []byte(`{"zen":"Keep it logically awesome."}`)
	old := hmac.New(sha1.New, []byte(secret))
	old.Write(body)
	for _, kind := range kindsOf {
		right := signed(kind, ping[kind], body)
		name := ""
		for n := range right {
			if n != http.CanonicalHeaderKey(eventHeader[kind]) {
				name = n
			}
		}
		value := right.Get(name)
		with := func(values ...string) http.Header {
			h := right.Clone()
			h.Del(name)
			for _, v := range values {
				h.Add(name, v)
			}
			return h
		}
		cut := value[:len(value)-2]
		sha1Alone := with()
		sha1Alone.Add("X-Hub-Signature", "sha1="+hex.EncodeToString(old.Sum(nil)))
		unsigned := map[string]bool{forge.Bitbucket: false, forge.Stash: false}
		_, same := unsigned[kind] // X-Hub-Signature is their own header
		keyless := hmac.New(sha256.New, nil)
		keyless.Write(body)
		ofNone := strings.TrimSuffix(value, sum(body)) + hex.EncodeToString(keyless.Sum(nil))
		bare := strings.TrimPrefix(value, "sha256=")
		var ofBare error
		if bare != value {
			ofBare = forge.ErrSignature
		}
		for _, c := range []struct {
			what    string
			secrets []string
			header  http.Header
			body    []byte
			want    error
		}{
			{"right", []string{secret}, right, body, nil},
			{"the older secret", []string{"a new one", secret}, right, body, nil},
			{"the newer secret", []string{secret, "an old one"}, right, body, nil},
			{"a secret that is no more", []string{"a new one", "another"}, right, body, forge.ErrSignature},
			{"no secret is live", nil, right, body, forge.ErrSignature},
			{"an empty secret is none", []string{""}, with(ofNone), body, forge.ErrSignature},
			{"without its prefix", []string{secret}, with(bare), body, ofBare},
			{"unsigned", []string{secret}, with(), body, forge.ErrUnsigned},
			{"empty", []string{secret}, with(""), body, forge.ErrUnsigned},
			{"twice", []string{secret}, with(value, value), body, forge.ErrSignature},
			{"cut", []string{secret}, with(cut), body, forge.ErrSignature},
			{"longer", []string{secret}, with(value + "00"), body, forge.ErrSignature},
			{"no hexadecimal", []string{secret}, with(strings.Repeat("zz", 32)), body, forge.ErrSignature},
			{"SHA-1 alone", []string{secret}, sha1Alone, body, map[bool]error{true: forge.ErrSignature, false: forge.ErrUnsigned}[same]},
		} {
			t.Run(kind+"/"+c.what, func(t *testing.T) {
				if err := opened(t, kind, c.secrets...).Verify(c.header, c.body); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			})
		}
	}
}

// TestSignaturesAreOfTheBody: none is another body's. GitLab's token is the same
// for every one.
func TestSignaturesAreOfTheBody(t *testing.T) {
	body := []byte(`{"zen":"Keep it logically awesome."}`)
	for _, kind := range kindsOf {
		if kind == forge.GitLab {
			continue
		}
		for what, changed := range map[string][]byte{
			"another body": []byte(`{"zen":"Keep it logically awesome!"}`), "a longer one": append(slices.Clone(body), ' '), "a cut one": body[:len(body)-1], "none": nil,
		} {
			if err := opened(t, kind, secret).Verify(signed(kind, ping[kind], body), changed); !errors.Is(err, forge.ErrSignature) {
				t.Errorf("%s: %s: %v", kind, what, err)
			}
		}
	}
}

// TestErrorsHideSecrets holds that no error has the secret or the token in it.
func TestErrorsHideSecrets(t *testing.T) {
	for _, kind := range kindsOf {
		f, err := forge.New(forge.Settings{Kind: kind, URL: "http://forge.invalid", Secrets: []string{secret}, Token: "token-that-is-secret"})
		if err != nil {
			t.Fatal(err)
		}
		_, parse := f.Parse(signed(kind, "push", nil), []byte(`{"ref":`))
		_, ask := f.Head(t.Context(), "o/r", "refs/heads/main")
		for _, err := range []error{f.Verify(signed(kind, "push", nil), []byte("x")), parse, ask} {
			if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "token-that-is-secret")) {
				t.Error(err)
			}
		}
		if !errors.Is(ask, forge.ErrLater) {
			t.Errorf("%s: a host that is not there: %v", kind, ask)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for what, s := range map[string]forge.Settings{
		"an unknown kind":     {Kind: "sourcehut"},
		"no address":          {Kind: forge.Gitea},
		"another scheme":      {Kind: forge.GitHub, URL: "file:///etc/passwd"},
		"no host":             {Kind: forge.GitHub, URL: "https:///api"},
		"a user in it":        {Kind: forge.GitHub, URL: "https://user:password@host"},
		"a query":             {Kind: forge.GitHub, URL: "https://host/?a=b"},
		"what is not address": {Kind: forge.GitHub, URL: "https://host:port"},
	} {
		if _, err := forge.New(s); err == nil {
			t.Errorf("%s is taken", what)
		} else if strings.Contains(err.Error(), "password@") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
