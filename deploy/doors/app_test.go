package doors_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/doors"
	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
	"github.com/relevo-ci/relevo/shared/secrets"
)

// TestTheAppsCredential: of a GitHub App every host has a credential that reads
// one repository and ends, also those that link no forge's client.
func TestTheAppsCredential(t *testing.T) {
	bare := filepath.Join(t.TempDir(), "r.git")
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", "--bare", bare).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := forgetest.New(t, forge.GitHub)
	server.Install()
	server.Add("o/r", bare)
	of := server.Settings()
	c := config.Forge{GitHubURL: of.URL, GitHubToken: "another", GitHubAppID: of.AppID, GitHubAppKey: config.Secret(of.AppKey)}
	served, err := doors.Forges(c)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := hosted.Tokens(c.Served())
	if err != nil {
		t.Fatal(err)
	}
	credential := secrets.Tokens(tokens)
	asked := 0
	for _, of := range []func(repository string) (secrets.Credential, error){
		func(r string) (secrets.Credential, error) { return doors.Credentials(served)(t.Context(), "github", r) },
		func(r string) (secrets.Credential, error) { return credential(t.Context(), "github", r) },
	} {
		server.Allow("contents", "read")
		got, err := of("o/r")
		if err != nil || !got.Scoped || got.Until.IsZero() || got.User != "x-access-token" || !strings.HasPrefix(got.Password, "ghs_") || got.Host != strings.TrimPrefix(server.URL, "http://") {
			t.Errorf("%+v, %v", got, err)
		}
		asked++
		if all := server.Issued(); len(all) != asked || len(all[asked-1].Permissions) != 1 || all[asked-1].Permissions["contents"] != "read" || len(all[asked-1].Repositories) != 1 {
			t.Errorf("%+v", all)
		}
		if got, err := of("o/none"); fn.KindOf(err) != fn.NotFound || got.Password != "" {
			t.Errorf("where it is not installed: %v, %v", got, err)
		}
		bare := filepath.Join(t.TempDir(), "s.git")
		server.Add("o/second", bare)
		server.Allow("contents", "")
		if got, err := of("o/second"); fn.KindOf(err) != fn.Denied || got.Password != "" {
			t.Errorf("without the right: %v, %v", got, err)
		}
		server.Fail(forgetest.Fault{Status: 502}, forgetest.Fault{Status: 502})
		if got, err := of("o/second"); !fn.KindOf(err).Retry() || got.Password != "" {
			t.Errorf("GitHub is away: %v, %v", got, err)
		}
	}
	for _, wrong := range []config.Forge{{GitHubURL: of.URL, GitHubAppID: "1", GitHubAppKey: "s3cret"}} {
		_, first := doors.Forges(wrong)
		_, second := hosted.Tokens(wrong.Served())
		for _, err := range []error{first, second} {
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("a key that is none: %v", err)
			}
		}
	}
}
