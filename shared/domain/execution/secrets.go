package execution

import (
	"time"

	"github.com/relevo-ci/relevo/events"
)

// SecretsRequest asks for what the job may know, POST /worker/secrets, after the
// hello was answered. The answer are Secrets; 410 where the attempt is gone or
// another nonce was first.
type SecretsRequest struct {
	events.AttemptRef
	Worker events.WorkerID `json:"worker"`
	Nonce  string          `json:"nonce"`
}

// Secrets are what a job may know and nobody else: in no event, log, command
// line or launch.
type Secrets struct {
	// Values by name.
	Values map[string]string `json:"values,omitempty"`
	// Git is what git needs to read the run's repository; nil: nothing.
	Git *Credential `json:"git,omitempty"`
	// NoGit says why Git is nil where the job fetches a repository.
	NoGit string `json:"noGit,omitempty"`
}

// Credential is git's, for one server.
type Credential struct {
	Server   string `json:"server"` // scheme://host, and the port where it has one
	User     string `json:"user"`
	Password string `json:"password"`
	// Until it ends, zero: it does not. Ask for another then.
	Until time.Time `json:"until,omitzero"`
}

// SecretUser is the user's name where that is the secret: some forges take a
// token there, with a password that everybody knows. Else it is empty.
func (c Credential) SecretUser() string {
	if c.Password == "x-oauth-basic" {
		return c.User
	}
	return ""
}
