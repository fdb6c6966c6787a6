package forgetest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An App is a GitHub App that the fake knows: with it the fake takes no other
// token.
type App struct {
	ID  string
	Key string // PEM
	// Permissions of its installation, which is on every repository.
	Permissions map[string]string

	public *rsa.PublicKey
	issued map[string]Issued
	all    []Issued
}

// Issued is a token that the App took.
type Issued struct {
	Repositories []string
	Permissions  map[string]string
	Until        time.Time
}

// One key does for all: making it takes a while.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// Install makes a GitHub App with all the rights that Relevo needs, and installs
// it on every repository.
func (s *Server) Install() {
	key, err := appKey()
	if err != nil {
		panic(err) // no entropy
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app = &App{
		ID: "4711", Key: string(text), public: &key.PublicKey, issued: map[string]Issued{},
		Permissions: map[string]string{"metadata": "read", "contents": "read", "pull_requests": "read", "checks": "write"},
	}
}

// Issued are the tokens that the App took, in order.
func (s *Server) Issued() []Issued {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.app.all)
}

// Revoke ends every token.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.app.issued)
}

// Allow changes a right of the installation; empty takes it away.
func (s *Server) Allow(area, right string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app.Permissions[area] = right
}

// Rename gives a repository another name: it is still found by the old one, as
// GitHub sends on whoever asks for that.
func (s *Server) Rename(old, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[old]
	delete(s.repos, old)
	r.name, s.repos[name], s.renamed[old] = name, r, r
}

// serve answers what is an App's own, and what its tokens may not do; done says
// that there is an answer.
func (a *App) serve(s *Server, q request, bearer string) (said_ answer, done bool) {
	switch {
	case len(q.path) == 4 && q.path[0] == "repos" && q.path[3] == "installation":
		if wrong := a.unsigned(bearer); wrong != "" {
			return said(http.StatusUnauthorized, wrong), true
		}
		r := s.repos[q.path[1]+"/"+q.path[2]]
		if r == nil {
			return missing, true
		}
		return found(object{"id": installationOf(r.name), "app_id": a.ID, "permissions": a.Permissions}), true
	case len(q.path) == 4 && q.path[0] == "app" && q.path[1] == "installations" && q.path[3] == "access_tokens" && q.method == http.MethodPost:
		if wrong := a.unsigned(bearer); wrong != "" {
			return said(http.StatusUnauthorized, wrong), true
		}
		return a.access(s, q), true
	}
	t, ok := a.issued[bearer]
	switch {
	case !ok || time.Now().After(t.Until):
		return said(http.StatusUnauthorized, "Bad credentials"), true
	case len(q.path) < 4 || q.path[0] != "repos":
		return missing, true
	case !slices.Contains(t.Repositories, q.path[1]+"/"+q.path[2]) || !t.may(q):
		return said(http.StatusForbidden, "Resource not accessible by integration"), true
	}
	return answer{}, false
}

// may is GitHub's table of the rights that a request takes.
func (t Issued) may(q request) bool {
	area := map[string]string{
		"contents": "contents", "compare": "contents", "commits": "contents", "pulls": "pull_requests",
		"collaborators": "metadata", "statuses": "statuses", "check-runs": "checks",
	}[q.path[3]]
	if q.path[3] == "commits" && q.path[len(q.path)-1] == "check-runs" {
		area = "checks"
	}
	right := t.Permissions[area]
	return right == "write" || right == "read" && q.method == http.MethodGet
}

// access gives a token for an hour.
func (a *App) access(s *Server, q request) answer {
	var in struct {
		Repositories []string          `json:"repositories"`
		IDs          []int             `json:"repository_ids"`
		Permissions  map[string]string `json:"permissions"`
	}
	if !q.bind(&in) {
		return said(http.StatusBadRequest, "Problems parsing JSON")
	}
	var names []string
	for name, r := range s.repos {
		mine := strconv.Itoa(installationOf(name)) == q.path[2]
		if mine && (slices.Contains(in.Repositories, name[strings.Index(name, "/")+1:]) || slices.Contains(in.IDs, r.id) || len(in.Repositories)+len(in.IDs) == 0) {
			names = append(names, name)
		}
	}
	if len(names) < max(1, len(in.Repositories)+len(in.IDs)) {
		return said(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
	}
	for area, right := range in.Permissions {
		if had := a.Permissions[area]; had != right && had != "write" {
			return said(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
		}
	}
	if len(in.Permissions) == 0 {
		in.Permissions = maps.Clone(a.Permissions)
	}
	t := Issued{names, in.Permissions, time.Now().Add(time.Hour).Truncate(time.Second)}
	value := "ghs_" + rand.Text()
	a.issued[value], a.all = t, append(a.all, t)
	return answer{status: http.StatusCreated, body: object{"token": value, "expires_at": t.Until.UTC(), "permissions": t.Permissions}}
}

// installationOf is one for each owner.
func installationOf(name string) int {
	owner, _, _ := strings.Cut(name, "/")
	return accountID(owner)
}

// unsigned tells what is wrong with a JSON Web Token, as GitHub does.
func (a *App) unsigned(token string) (wrong string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "A JSON web token could not be decoded"
	}
	var header struct{ Alg string }
	var claims struct {
		Iss      string
		Iat, Exp int64
	}
	for i, into := range []any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(text, into) != nil {
			return "A JSON web token could not be decoded"
		}
	}
	mark, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := time.Now().Unix()
	switch {
	case err != nil || header.Alg != "RS256" || rsa.VerifyPKCS1v15(a.public, crypto.SHA256, sum[:], mark) != nil:
		return "A JSON web token could not be decoded"
	case claims.Iss != a.ID:
		return "'Issuer' claim ('iss') must be an Integer"
	case claims.Iat > now:
		return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	case claims.Exp <= now:
		return "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
	case claims.Exp > now+600 || claims.Exp-claims.Iat > 600:
		return "'Expiration time' claim ('exp') is too far in the future"
	}
	return ""
}

// reads tells whether a token may read a repository by git.
func (a *App) reads(token, repository string) bool {
	t, ok := a.issued[token]
	return ok && time.Now().Before(t.Until) && t.Permissions["contents"] != "" && slices.Contains(t.Repositories, repository)
}

// renamedTo is where GitHub sends whoever asks for a repository by its old name,
// and what its number stands for.
func (s *Server) renamedTo(q *request, query string) (answer, bool) {
	switch {
	case len(q.path) >= 3 && q.path[0] == "repos" && s.renamed[q.path[1]+"/"+q.path[2]] != nil:
		r := s.renamed[q.path[1]+"/"+q.path[2]]
		to := s.URL + "/repositories/" + strconv.Itoa(r.id) + "/" + strings.Join(q.path[3:], "/")
		if query != "" {
			to += "?" + query
		}
		return answer{status: http.StatusMovedPermanently, body: object{"message": "Moved Permanently"}, header: map[string]string{"Location": to}}, true
	case len(q.path) >= 3 && q.path[0] == "repositories":
		if r := s.named(q.path[1]); r != nil {
			q.path = append([]string{"repos"}, append(strings.SplitN(r.name, "/", 2), q.path[2:]...)...)
		}
	}
	return answer{}, false
}
