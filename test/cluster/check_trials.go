package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

func (c *checker) jobCompletes(ctx context.Context) error {
	text := strings.ReplaceAll(jobManifest, "$NAMESPACE", checkNamespace)
	if _, err := c.kubectl(ctx, text, "apply", "-f", "-"); err != nil {
		return err
	}
	_, err := c.kubectl(ctx, "", "wait", "--for=condition=Complete", "--timeout=90s", "job/work")
	logs, unread := c.kubectl(ctx, "", "logs", "job/work")
	if err != nil {
		return fmt.Errorf("%w: %s", err, logs)
	}
	if unread != nil {
		return unread
	}
	if !strings.HasSuffix(logs, "\nworked\n") {
		return fmt.Errorf("its log is %q", logs)
	}
	return nil
}

func (c *checker) jobIsTold(ctx context.Context) error {
	return c.await(ctx, func(a arrival) bool {
		return a.Type == "dev.knative.apiserver.resource.update" &&
			strings.HasSuffix(a.Subject, "/jobs/work") && strings.Contains(a.Data, `"type":"Complete"`)
	})
}

func (c *checker) pings(ctx context.Context) error {
	if _, err := c.kubectl(ctx, pingManifest, "apply", "-f", "-"); err != nil {
		return err
	}
	for range 3 {
		err := c.await(ctx, func(a arrival) bool { return a.Type == "dev.knative.sources.ping" })
		if err != nil {
			return err
		}
	}
	_, err := c.kubectl(ctx, "", "delete", "pingsource", "clock")
	return err
}

func (c *checker) refusesPrivileged(ctx context.Context) error {
	_, err := kubectl(ctx, "", "label", "namespace", checkNamespace, "pod-security.kubernetes.io/enforce=baseline")
	if err != nil {
		return err
	}
	_, err = c.kubectl(ctx, "", "run", "privileged", "--image="+busyboxImage, "--privileged")
	if err == nil {
		return errors.New("it was admitted")
	}
	if !strings.Contains(err.Error(), "PodSecurity") {
		return err
	}
	return nil
}

func (c *checker) refusesStranger(ctx context.Context) error {
	as := "--as=system:serviceaccount:" + checkNamespace + ":watcher"
	if _, err := c.kubectl(ctx, "", "get", "jobs", as); err != nil {
		return err
	}
	_, err := c.kubectl(ctx, "", "get", "secrets", as)
	if err == nil {
		return errors.New("secrets were shown")
	}
	if !strings.Contains(err.Error(), "Forbidden") {
		return err
	}
	return nil
}

func (c *checker) podsGone(ctx context.Context) error {
	return poll(ctx, patience, func() error {
		return errors.Join(c.noPods(ctx, "hello"), c.noPods(ctx, "catcher"))
	})
}

func (c *checker) noPods(ctx context.Context, service string) error {
	pods, err := c.kubectl(ctx, "", "get", "pods", "-o", "name", "-l", "serving.knative.dev/service="+service)
	if err == nil && strings.TrimSpace(pods) != "" {
		err = fmt.Errorf("%s has %q", service, pods)
	}
	return err
}
