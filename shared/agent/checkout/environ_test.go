package checkout_test

import (
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/agent/checkout"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// TestEnviron: git gets the credential for one server alone, and nothing that
// others said to it.
func TestEnviron(t *testing.T) {
	image := []string{
		"PATH=/bin", "GIT_TRACE_CURL=/tmp/x", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=credential.helper", "GIT_CONFIG_VALUE_0=store",
		"GIT_SSL_NO_VERIFY=1", "GIT_SSL_CAINFO=/ca", "LC_ALL=de_DE", "SSH_ASKPASS=/x", "HTTPS_PROXY=http://p",
	}
	for _, c := range []*execution.Credential{nil, {Server: "https://forge:8443", User: "u", Password: "pw"}} {
		env := checkout.Environ(image, "https://forge:8443/o/r.git", c)
		all := "\n" + strings.Join(env, "\n") + "\n"
		for _, want := range []string{"PATH=/bin", "GIT_SSL_CAINFO=/ca", "HTTPS_PROXY=http://p", "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "=url.https://forge:8443/.insteadOf", "=git@forge:"} {
			if !strings.Contains(all, want+"\n") {
				t.Errorf("no %s in%s", want, all)
			}
		}
		for _, no := range []string{"GIT_TRACE", "NO_VERIFY", "de_DE", "SSH_ASKPASS", "=store"} {
			if strings.Contains(all, no) {
				t.Errorf("%s in%s", no, all)
			}
		}
		if strings.Contains(all, "=pw\n") != (c != nil) || strings.Contains(all, "=credential.https://forge:8443.helper\n") != (c != nil) {
			t.Errorf("credential %v:%s", c != nil, all)
		}
		if strings.Count(all, "GIT_CONFIG_COUNT=") != 1 {
			t.Error("two counts")
		}
	}
}
