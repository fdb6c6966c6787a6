package docker

import (
	"time"

	"github.com/docker/docker/api/types/filters"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// marks are the labels of containers that say what they are for.
const marks provider.Marks = "dev.relevo."

// Those that are looked at here; networks carry the first alone.
const (
	labelInstallation = string(marks) + "installation"
	labelWorker       = string(marks) + "worker"
	labelFence        = string(marks) + "fence"
	labelGrace        = string(marks) + "grace" // before it is killed, e.g. 10s
)

func (p *Provider) labels(l execution.Launch) map[string]string {
	all := marks.Of(p.cfg.Installation, l)
	all[labelGrace] = p.grace(l).String()
	return all
}

func (p *Provider) grace(l execution.Launch) time.Duration {
	if l.Grace > 0 {
		return l.Grace
	}
	return p.cfg.Grace
}

// described is the status of a container as far as its labels tell it. A
// fence or attempt that another wrote by hand reads as zero.
func (p *Provider) described(labels map[string]string, id string) provider.Status {
	_, ref, at := marks.Read(labels)
	at.Provider = p.Name()
	return provider.Status{AttemptRef: ref, Placement: at, Handle: id}
}

// ours tells whether a container is the worker of l.
func (p *Provider) ours(labels map[string]string, l execution.Launch) bool {
	return labels[labelInstallation] == p.cfg.Installation &&
		labels[labelWorker] == string(l.Worker) && labels[labelFence] == l.Fence.String()
}

// mine selects the containers of this installation, or of one of its workers.
func (p *Provider) mine(worker events.WorkerID) filters.Args {
	args := filters.NewArgs(filters.Arg("label", labelInstallation+"="+p.cfg.Installation))
	if worker != "" {
		args.Add("label", labelWorker+"="+string(worker))
	}
	return args
}

// nameOf is the container's name, and that of its folder below Config.State.
func (p *Provider) nameOf(worker events.WorkerID, fence events.Fence) string {
	return p.prefix + "-" + string(worker) + "-f" + fence.String()
}
