package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/changes"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// pull is the pull of one image, for all workers that wait for it.
type pull struct {
	image    string
	cancel   context.CancelFunc
	progress string
}

// pull lets the worker wait for its image, whose pull is begun unless it runs.
func (p *Provider) pull(l execution.Launch) provider.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := p.image(l)
	job := p.pulls[name]
	if job == nil {
		ctx, cancel := context.WithCancel(p.ctx)
		job = &pull{image: name, cancel: cancel}
		p.pulls[name] = job
		go p.run(ctx, job)
	}
	p.waiting[p.nameOf(l.Worker, l.Fence)] = l
	return p.preparing(l)
}

// preparing is the status of a worker that waits; the lock is held.
func (p *Provider) preparing(l execution.Launch) provider.Status {
	st := p.described(p.labels(l), "")
	st.Preparing = "pulling image " + p.image(l)
	if job := p.pulls[p.image(l)]; job != nil {
		st.Preparing += job.progress
	}
	return st
}

// run pulls, and then goes on with each worker that still waits.
func (p *Provider) run(ctx context.Context, job *pull) {
	defer job.cancel()
	err := p.fetch(ctx, job)
	p.mu.Lock()
	if p.pulls[job.image] == job {
		delete(p.pulls, job.image)
	}
	var launches []execution.Launch
	for _, l := range p.waiting {
		if ctx.Err() == nil && p.image(l) == job.image {
			launches = append(launches, l)
		}
	}
	p.mu.Unlock()
	for _, l := range launches {
		go p.pulled(l, err)
	}
}

// pulled makes a worker whose image came, or tells that it did not come. What
// is not known to have failed is not told: the worker is created again.
func (p *Provider) pulled(l execution.Launch, err error) {
	unlock, lockErr := p.locks.lock(p.ctx, string(l.Worker))
	if lockErr != nil {
		return
	}
	defer unlock()
	if !p.wanted(l) {
		return
	}
	var failure *provider.Failure
	if err != nil {
		failure = unpullable(p.image(l), err)
	} else if _, err := p.create(p.ctx, l); !errors.As(err, &failure) {
		return
	}
	st := p.described(p.labels(l), "")
	st.Reason = failure.Reason
	p.mu.Lock()
	defer p.mu.Unlock()
	if change := (provider.Change{Status: st, Failed: failure}); !p.feed.Tell(change) {
		p.failed[p.nameOf(l.Worker, l.Fence)] = change
	}
}

// subscribe begins with the failures that nobody was there to hear of.
func (p *Provider) subscribe() *changes.Subscription {
	p.mu.Lock()
	defer p.mu.Unlock()
	sub := p.feed.Subscribe()
	for _, change := range p.failed {
		sub.Tell(change)
	}
	clear(p.failed)
	return sub
}

// wanted takes a worker from those that wait, and tells whether it did.
func (p *Provider) wanted(l execution.Launch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := p.nameOf(l.Worker, l.Fence)
	_, ok := p.waiting[name]
	delete(p.waiting, name)
	return ok
}

// untold gives a failure that nobody was there to hear of, once.
func (p *Provider) untold(name string) *provider.Failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	change := p.failed[name]
	delete(p.failed, name)
	return change.Failed
}

// drop forgets what waits of a worker up to a fence. A pull that nobody waits
// for any more is given up.
func (p *Provider) drop(worker events.WorkerID, fence events.Fence) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, l := range p.waiting {
		if l.Worker == worker && l.Fence.Compare(fence) <= 0 {
			delete(p.waiting, name)
			delete(p.failed, name)
		}
	}
	delete(p.failed, p.nameOf(worker, fence))
	for name, job := range p.pulls {
		needed := false
		for _, l := range p.waiting {
			needed = needed || p.image(l) == name
		}
		if !needed {
			job.cancel()
			delete(p.pulls, name)
		}
	}
}

// fetch pulls the image to its end.
func (p *Provider) fetch(ctx context.Context, job *pull) error {
	var opts image.PullOptions
	if p.cfg.Credentials != nil {
		auth, err := p.cfg.Credentials(ctx, job.image)
		if err != nil {
			return fmt.Errorf("get credentials: %w", err)
		}
		if opts.RegistryAuth, err = registry.EncodeAuthConfig(auth); err != nil {
			return fmt.Errorf("encode credentials: %w", err)
		}
	}
	stream, err := p.cli.ImagePull(ctx, job.image, opts)
	if err != nil {
		return err
	}
	defer stream.Close()
	return follow(stream, func(have, all int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		job.progress = fmt.Sprintf(": %d of %d MB", have>>20, all>>20)
	})
}

// line is what the daemon says while it pulls, of one layer or of all.
type line struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Progress struct {
		Current int64 `json:"current"`
		Total   int64 `json:"total"`
	} `json:"progressDetail"`
	Error string `json:"error"`
}

// follow reads a pull's lines to the end and sums up how much of the layers
// that are being downloaded is there. The daemon's error ends it.
func follow(stream io.Reader, progress func(have, all int64)) error {
	type layer struct{ have, all int64 }
	layers := map[string]layer{}
	for in := json.NewDecoder(stream); ; {
		var l line
		err := in.Decode(&l)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("follow the pull: %w", err)
		}
		if l.Error != "" {
			return errors.New(l.Error)
		}
		switch l.Status {
		case "Downloading":
			layers[l.ID] = layer{l.Progress.Current, l.Progress.Total}
		case "Download complete":
			layers[l.ID] = layer{layers[l.ID].all, layers[l.ID].all}
		default:
			continue
		}
		var sum layer
		for _, l := range layers {
			sum.have += l.have
			sum.all += l.all
		}
		progress(sum.have, sum.all)
	}
}
