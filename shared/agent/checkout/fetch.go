package checkout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// tries is how often a command is run that failed because of the network.
const tries = 3

// fetch gets the commit: by its id, else, where a server gives no commits by
// id, with all of its ref.
func (w *work) fetch() error {
	args := []string{"fetch", "--no-recurse-submodules", "--force"}
	if w.Tags {
		args = append(args, "--tags")
	} else {
		args = append(args, "--no-tags")
	}
	if w.Depth == 0 {
		if _, err := os.Stat(filepath.Join(w.dir, ".git", "shallow")); err == nil {
			args = append(args, "--unshallow")
		}
		if err := w.remote(append(args, "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")...); err != nil {
			return err
		}
		if there, err := w.has(); err != nil {
			return err
		} else if there {
			return w.name()
		}
	}
	if w.Depth > 0 {
		args = append(args, fmt.Sprintf("--depth=%d", w.Depth))
	}
	byID := w.remote(append(args, "origin", w.refspec())...)
	if byID == nil || !refusesIDs(byID) {
		return byID
	}
	w.Say("the server gives no commit by its id: fetching all of its branch")
	all := []string{"fetch", "--no-recurse-submodules", "--force", "--no-tags", "origin"}
	for _, ref := range []string{w.ref, "refs/heads/*"} {
		if ref == "" {
			continue
		}
		if err := w.remote(append(all, "+"+ref+":"+local(ref))...); err != nil && !missing(err) {
			return err
		}
		if there, err := w.has(); err != nil {
			return err
		} else if there {
			return w.name()
		}
	}
	return byID
}

// has tells whether the commit is there.
func (w *work) has() (bool, error) {
	_, err := w.Git.Output(w.dir, false, "cat-file", "-e", w.commit+"^{commit}")
	if ended(err) {
		return false, err
	}
	return err == nil, nil
}

// name gives the commit the name that its ref has here.
func (w *work) name() error {
	if w.ref == "" {
		return nil
	}
	return w.Git.Run(w.dir, false, "update-ref", local(w.ref), w.commit)
}

// refspec fetches the commit under the name that its ref has here.
func (w *work) refspec() string {
	if w.ref == "" || w.ref == "HEAD" {
		return w.commit
	}
	return "+" + w.commit + ":" + local(w.ref)
}

// local is the name of a remote's ref here.
func local(ref string) string {
	switch {
	case strings.HasPrefix(ref, "refs/heads/"):
		return "refs/remotes/origin/" + strings.TrimPrefix(ref, "refs/heads/")
	case strings.HasPrefix(ref, "refs/tags/"):
		return ref
	}
	return "refs/remotes/" + strings.TrimPrefix(ref, "refs/")
}

// remote runs a command that talks to the server.
func (w *work) remote(args ...string) error {
	return w.again(func() error { return w.Git.Run(w.dir, true, args...) })
}

// again runs what talks to the server, a few times where the network or the
// server is in trouble.
func (w *work) again(run func() error) error {
	for try := 1; ; try++ {
		err := run()
		var f *Failure
		if !errors.As(err, &f) {
			return err
		}
		switch {
		case refusesIDs(f):
			return f
		case denied.MatchString(f.Tail):
			return w.explain(f)
		case !trouble.MatchString(f.Tail):
			return f
		}
		if try == tries || !w.Pause(try) {
			return fmt.Errorf("%w: %w", ErrTrouble, f)
		}
		w.Say("%v: trying again", f)
	}
}

// What git says, in English, when it is nobody's fault who wrote the pipeline.
var trouble = regexp.MustCompile(`(?i)could not resolve|couldn't connect|failed to connect|connection (refused|reset|timed out|was aborted)|timed out|` +
	`operation too slow|returned error: (429|5\d\d)|rpc failed|early eof|unexpected disconnect|hung up unexpectedly|remote end hung up|empty reply|` +
	`network is unreachable|no route to host|gnutls_handshake|bad pack header|index-pack|no space left|tls connection was non-properly terminated|ssl_error_syscall`)

// What git says when the server wants to know who asks, or says that there is
// nothing.
var denied = regexp.MustCompile(`(?i)authentication failed|could not read (username|password)|terminal prompts disabled|returned error: 40[13]|` +
	`repository .* not found|returned error: 404|access denied|permission (to .* )?denied`)

// explain adds what to do about a server that gives nothing.
func (w *work) explain(f *Failure) error {
	why := "the credential of this installation may not read it, or it is not there"
	if w.NoCredential != "" {
		why = "it is not public or not there, and this run has no credential: " + w.NoCredential
	}
	return fmt.Errorf("checkout: %s: %s (%w)", w.url, why, f)
}

// refusesIDs tells that a server does not give a commit that none of its refs
// points to: very old ones, or those that are told not to.
func refusesIDs(err error) bool {
	return said(err, "not allow request for unadvertised object", "not our ref", "couldn't find remote ref", "remote did not send all necessary objects")
}

func missing(err error) bool { return said(err, "couldn't find remote ref") }

func said(err error, texts ...string) bool {
	var f *Failure
	if !errors.As(err, &f) {
		return false
	}
	for _, t := range texts {
		if strings.Contains(strings.ToLower(f.Tail), t) {
			return true
		}
	}
	return false
}
