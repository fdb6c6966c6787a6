package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/relevo-ci/relevo/shared/provider"
)

// wrap says what could not be done, and what to do where the daemon does not
// answer. A *provider.Failure stays as it is.
func (p *Provider) wrap(what string, err error) error {
	var failure *provider.Failure
	switch {
	case err == nil || errors.As(err, &failure):
		return err
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("docker: %s: Docker does not answer at %s: does it run, may this user talk to it, is DOCKER_HOST right?: %w",
			what, p.cli.DaemonHost(), err)
	}
	return fmt.Errorf("docker: %s: %w", what, err)
}

// refused makes a failure of what the daemon will never do: a limit that is
// out of range, a folder that is not there. Every other error stays.
func refused(err error) error {
	if err != nil && cerrdefs.IsInvalidArgument(err) {
		return &provider.Failure{Reason: "Docker refuses the container: " + text(err), Permanent: true}
	}
	return err
}

// unstartable makes a failure of a start that the daemon tried and that went
// wrong. Another attempt may have more luck, here or elsewhere. An unanswered
// start is none: the container may run.
func unstartable(err error) error {
	if err == nil || client.IsErrConnectionFailed(err) || cerrdefs.IsUnavailable(err) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &provider.Failure{Reason: "Docker cannot start the container: " + text(err), Permanent: cerrdefs.IsInvalidArgument(err)}
}

// ambiguous tells whether there are several networks of one name.
func ambiguous(err error) bool {
	return err != nil && strings.Contains(err.Error(), "is ambiguous")
}

// unpullable makes a failure of a pull that went wrong.
func unpullable(image string, err error) *provider.Failure {
	return &provider.Failure{
		Reason: fmt.Sprintf("image %s could not be pulled: %s; check its name and tag, or run `docker pull %s` on the Docker host; a private registry wants credentials",
			image, text(err), image),
		Permanent: final(err),
	}
}

// final tells whether a registry answered that the image is not to be had.
// Once a pull has begun, the daemon passes errors on as text alone.
func final(err error) bool {
	if cerrdefs.IsNotFound(err) || cerrdefs.IsUnauthorized(err) || cerrdefs.IsPermissionDenied(err) || cerrdefs.IsInvalidArgument(err) {
		return true
	}
	said := text(err)
	for _, no := range []string{
		"manifest unknown", "manifest for ", "not found: ", "no matching manifest", "no basic auth credentials",
		"pull access denied", "repository does not exist", "name unknown", "unauthorized:", "denied:",
	} {
		if strings.Contains(said, no) {
			return true
		}
	}
	return false
}

// text is what the daemon said, in one line.
func text(err error) string {
	said := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	return strings.Join(strings.Fields(said), " ")
}
