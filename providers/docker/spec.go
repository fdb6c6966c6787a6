package docker

import (
	"cmp"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// Where things are in a container.
const (
	home       = "/relevo"
	agentAt    = home + "/agent"
	launchAt   = home + "/launch.json"
	portAt     = home + "/inspect.port" // the agent writes its inspection port there
	workspace  = "/workspace"
	pidsLimit  = 4096 // enough for large parallel builds; a fork bomb stays in its container
	stopSignal = "SIGTERM"
)

// capabilities are what root has in a container, of the fourteen that Docker
// gives: those without which package managers and builds fail.
//
// Left out: NET_RAW and MKNOD (forged packets, devices), SETPCAP and SETFCAP
// (more power for others), AUDIT_WRITE, SYS_CHROOT; NET_BIND_SERVICE is not
// needed, Docker lets everybody bind low ports in a container's network.
var capabilities = []string{
	"CHOWN",        // unpack files that belong to others
	"DAC_OVERRIDE", // work in folders that belong to others
	"FOWNER",       // chmod and touch files that were given away
	"FSETID",       // keep the setgid bit of what is unpacked
	"SETUID",       // step down to another user, as apt does for downloads
	"SETGID",       // and to its groups
	"KILL",         // the agent ends steps that stepped down
}

// config is what the container is. What the image says of entry point, command,
// health checks and stop signal is for its own program, not for the agent; its
// user and environment stay.
func (p *Provider) config(l execution.Launch) *container.Config {
	// For a daemon that shuts down; it counts in whole seconds.
	seconds := int((p.grace(l) + time.Second - 1) / time.Second)
	return &container.Config{
		Image:       p.image(l),
		Entrypoint:  []string{agentAt, "run", launchAt},
		WorkingDir:  "/",
		Labels:      p.labels(l),
		StopSignal:  stopSignal,
		StopTimeout: &seconds,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}
}

func (p *Provider) image(l execution.Launch) string {
	if l.Image != "" {
		return l.Image
	}
	return p.cfg.Image
}

// hostConfig is how the container is kept. The daemon's seccomp and AppArmor
// profiles stay in force. There is no init process: the agent is one. The
// container stays after its end until Terminate, so that its log can be read.
func (p *Provider) hostConfig(l execution.Launch, mounts []mount.Mount) *container.HostConfig {
	pids := int64(pidsLimit)
	cpu, memory := l.Resources.CPU, l.Resources.Memory
	if l.Untrusted {
		cpu, memory = cmp.Or(cpu, p.cfg.Untrusted.CPU), cmp.Or(memory, p.cfg.Untrusted.Memory)
	}
	resources := container.Resources{
		NanoCPUs:   cpu * 1e6,
		Memory:     memory,
		MemorySwap: memory, // memory and swap together: no swap
		PidsLimit:  &pids,
	}
	if l.Resources.GPU > 0 {
		resources.DeviceRequests = []container.DeviceRequest{{
			Count: int(l.Resources.GPU), Capabilities: [][]string{{"gpu"}},
		}}
	}
	return &container.HostConfig{
		Resources:     resources,
		CapDrop:       []string{"ALL"},
		CapAdd:        capabilities,
		SecurityOpt:   []string{"no-new-privileges"},
		NetworkMode:   container.NetworkMode(p.networkOf(l)),
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		Mounts:        mounts,
		// Steps' output does not go this way, only what the agent has to say.
		LogConfig: container.LogConfig{
			Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "2"},
		},
	}
}

// shared are the mounts that every container has.
func (p *Provider) shared(l execution.Launch) []mount.Mount {
	var mounts []mount.Mount
	if p.cfg.Sockets != "" {
		// Linux lets connect to a socket there all the same. A job that could write
		// would put a socket of its own in its place, and hear what others report
		// and are told.
		mounts = append(mounts, mount.Mount{Type: mount.TypeBind, Source: p.cfg.Sockets, Target: p.cfg.SocketsAt, ReadOnly: true})
	}
	if p.inPlace(l) {
		mounts = append(mounts, mount.Mount{Type: mount.TypeBind, Source: p.cfg.Workspace, Target: l.Workspace})
	}
	return mounts
}

// inPlace tells that a worker's steps run in the folder that all share: never
// those of a stranger.
func (p *Provider) inPlace(l execution.Launch) bool { return p.cfg.Workspace != "" && !l.Untrusted }
