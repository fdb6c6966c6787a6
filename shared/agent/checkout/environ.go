package checkout

import (
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// helper is git's credential helper: a line of shell that prints what it finds
// in its environment. git asks it for the server alone that the setting names,
// also after a redirect and for submodules, see gitcredentials(7). printf is
// built into the shell: no command line shows the password.
const helper = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$RELEVO_GIT_USER" "$RELEVO_GIT_PASSWORD"; }; f`

// passed are the variables of git's that it is given, if they are there: where
// the certificates are that it trusts. All else that begins with GIT_ could send
// the credential elsewhere or write it into a trace.
var passed = []string{"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_PROXY_SSL_CAINFO"}

// Environ is git's environment, made of the image's. What it says is in English,
// and it asks nobody at a terminal. With a credential it is for the commands that
// talk to the server: nothing of it is written to the repository's settings.
func Environ(image []string, clone string, c *execution.Credential) []string {
	env := slices.DeleteFunc(slices.Clone(image), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "GIT_") && !slices.Contains(passed, name) || name == "LC_ALL" || name == "LANGUAGE" || name == "SSH_ASKPASS"
	})
	env = append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "GIT_LFS_SKIP_SMUDGE=1")
	settings := [][2]string{
		{"safe.directory", "*"},
		{"init.defaultBranch", "main"},
		{"core.hooksPath", os.DevNull},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
		{"advice.detachedHead", "false"},
		{"submodule.recurse", "false"},
		{"http.lowSpeedLimit", "1000"},
		{"http.lowSpeedTime", "60"},
		// The user's own helpers would keep what they hear.
		{"credential.helper", ""},
		{"core.askPass", ""},
	}
	settings = append(settings, overHTTP(clone)...)
	if c != nil {
		env = append(env, "RELEVO_GIT_USER="+c.User, "RELEVO_GIT_PASSWORD="+c.Password)
		settings = append(settings, [2]string{"credential." + c.Server + ".helper", helper})
	}
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(settings)))
	for i, s := range settings {
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+s[0], "GIT_CONFIG_VALUE_"+n+"="+s[1])
	}
	return env
}

// overHTTP lets submodules that are named by SSH come the way that the
// repository came: there is no key for another.
func overHTTP(clone string) [][2]string {
	u, err := url.Parse(clone)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil
	}
	key := "url." + u.Scheme + "://" + u.Host + "/.insteadOf"
	return [][2]string{{key, "git@" + u.Hostname() + ":"}, {key, "ssh://git@" + u.Hostname() + "/"}}
}
