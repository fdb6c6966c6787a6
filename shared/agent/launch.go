package agent

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/relevo-ci/relevo/shared/agent/report"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// What a launch leaves open.
const (
	defaultHeartbeat = 10 * time.Second
	defaultGrace     = 10 * time.Second
	defaultSpool     = 256 << 20
	defaultTimeout   = 6 * time.Hour // of a job
)

// ErrLaunch: the launch cannot be read or makes no sense.
var ErrLaunch = errors.New("agent: bad launch")

// readLaunch reads a launch file and fills in what it leaves open.
func readLaunch(path string) (*execution.Launch, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLaunch, err)
	}
	l := &execution.Launch{}
	if err := json.Unmarshal(text, l); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrLaunch, path, err)
	}
	switch {
	case l.Run == "" || l.Job.Key == "" || l.Worker == "":
		return nil, fmt.Errorf("%w: %s: names no run, job or worker", ErrLaunch, path)
	case l.Token == "":
		return nil, fmt.Errorf("%w: %s: has no token", ErrLaunch, path)
	}
	setDefault(&l.Heartbeat, defaultHeartbeat)
	setDefault(&l.Grace, defaultGrace)
	setDefault(&l.SpoolMax, defaultSpool)
	if l.Workspace == "" {
		l.Workspace = "."
	}
	// Before anything changes the current folder.
	if l.Workspace, err = filepath.Abs(l.Workspace); err != nil {
		return nil, fmt.Errorf("%w: workspace: %w", ErrLaunch, err)
	}
	return l, nil
}

func setDefault[T time.Duration | int64](v *T, byDefault T) {
	if *v <= 0 {
		*v = byDefault
	}
}

// newClient makes the client of a launch. A request that hangs is given up
// after three heartbeats, so that a lease outlives one that was lost.
func newClient(l *execution.Launch) (*report.Client, error) {
	timeout := max(time.Second, min(3*l.Heartbeat, 30*time.Second))
	c, err := report.NewClient(l.Report, l.Token, timeout)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLaunch, err)
	}
	return c, nil
}

// tempFolder makes the agent's own folder: beside the launch, or where there
// is room for temporary files when that may not be written to.
func tempFolder(launch string) (string, error) {
	dir, err := os.MkdirTemp(filepath.Dir(launch), "temp-*")
	if err != nil {
		dir, err = os.MkdirTemp("", "relevo-*")
	}
	if err != nil {
		return "", fmt.Errorf("agent: make folder for temporary files: %w", err)
	}
	return filepath.Abs(dir)
}

// nonce tells this agent from every other that was born of the same launch.
func nonce() string { return rand.Text() }
