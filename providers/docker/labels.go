package docker

import (
	"strconv"
	"time"

	"github.com/docker/docker/api/types/filters"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// The labels of containers; networks carry the first alone.
const (
	labelInstallation = "dev.relevo.installation"
	labelWorker       = "dev.relevo.worker"
	labelFence        = "dev.relevo.fence"
	labelRun          = "dev.relevo.run"
	labelJob          = "dev.relevo.job"
	labelAttempt      = "dev.relevo.attempt"
	labelPool         = "dev.relevo.pool"
	labelAssignment   = "dev.relevo.assignment"
	labelGrace        = "dev.relevo.grace" // before it is killed, e.g. 10s
)

func (p *Provider) labels(l execution.Launch) map[string]string {
	return map[string]string{
		labelInstallation: p.cfg.Installation,
		labelWorker:       string(l.Worker),
		labelFence:        l.Fence.String(),
		labelRun:          string(l.Run),
		labelJob:          string(l.AttemptRef.Job),
		labelAttempt:      strconv.Itoa(l.Attempt),
		labelPool:         string(l.Pool),
		labelAssignment:   string(l.Assignment),
		labelGrace:        p.grace(l).String(),
	}
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
	fence, _ := events.ParseFence(labels[labelFence])
	attempt, _ := strconv.Atoi(labels[labelAttempt])
	job := events.JobRef{Run: events.RunID(labels[labelRun]), Job: events.JobKey(labels[labelJob])}
	return provider.Status{
		AttemptRef: events.AttemptRef{JobRef: job, Attempt: attempt, Fence: fence},
		Placement: events.Placement{
			Pool:       events.PoolID(labels[labelPool]),
			Assignment: events.AssignmentID(labels[labelAssignment]),
			Worker:     events.WorkerID(labels[labelWorker]),
			Provider:   p.Name(),
		},
		Handle: id,
	}
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
