package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "embed"
)

var (
	//go:embed manifests/check.yaml
	checkManifest string
	//go:embed manifests/check-job.yaml
	jobManifest string
	//go:embed manifests/check-ping.yaml
	pingManifest string
)

const checkNamespace = "relevo-check"

// An arrival is what the echo program reports of an event.
type arrival struct{ Revision, Type, Subject, Source, ID, Data string }

// A checker tries the running cluster in a namespace of its own.
type checker struct {
	arrivals chan arrival
	report   string // the address that the catcher reports to
}

// check tries, one after the other, what tests rely on, and removes it all.
func check(ctx context.Context) (err error) {
	c := &checker{arrivals: make(chan arrival, 1000)}
	listener, err := net.Listen("tcp", nodeAddress+":0")
	if err != nil {
		return fmt.Errorf("the cluster is not up: %w", err)
	}
	c.report = "http://" + listener.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(c.receive), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener) //nolint:errcheck // it ends with Close
	defer func() { _ = server.Close() }()

	remove := []string{"delete", "namespace", checkNamespace, "--ignore-not-found", "--timeout=120s"}
	if _, err := kubectl(ctx, "", remove...); err != nil { // one that was broken off left it
		return err
	}
	if _, err := kubectl(ctx, "", "create", "namespace", checkNamespace); err != nil {
		return err
	}
	defer func() {
		_, gone := kubectl(context.WithoutCancel(ctx), "", remove...)
		if err == nil {
			err = gone
		}
	}()
	for _, trial := range []struct {
		what string
		try  func(context.Context) error
	}{
		{"functions, broker, trigger and source are ready", c.applied},
		{"a function at zero answers through the ingress", c.answersFromZero},
		{"an event to the broker reaches the trigger's function at zero", c.eventFromZero},
		{"a second event reaches it warm", c.eventFromZero},
		{"a Job completes with logs, a token and names", c.jobCompletes},
		{"the ApiServerSource tells of the Job", c.jobIsTold},
		{"the PingSource ticks", c.pings},
		{"Pod Security refuses a privileged pod", c.refusesPrivileged},
		{"RBAC refuses what was not granted", c.refusesStranger},
		{"the functions' pods are gone", c.podsGone},
	} {
		started := time.Now()
		if err := trial.try(ctx); err != nil {
			pods, _ := c.kubectl(ctx, "", "get", "pods,ksvc,broker,trigger,apiserversource,pingsource,job") // for the report alone
			return fmt.Errorf("not so: %s: %w\n%s", trial.what, err, pods)
		}
		fmt.Printf("%6.2f s  %s\n", time.Since(started).Seconds(), trial.what)
	}
	return nil
}

func (c *checker) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return kubectl(ctx, stdin, append([]string{"--namespace", checkNamespace}, args...)...)
}

func (c *checker) receive(w http.ResponseWriter, r *http.Request) {
	var a arrival
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.arrivals <- a
}

// await drops arrivals until one fits.
func (c *checker) await(ctx context.Context, fits func(arrival) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case a := <-c.arrivals:
			if fits(a) {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("no such event came: %w", ctx.Err())
		}
	}
}

func (c *checker) applied(ctx context.Context) error {
	image, err := echoImage(ctx)
	if err != nil {
		return err
	}
	text := strings.NewReplacer("$ECHO", image, "$REPORT", c.report).Replace(checkManifest)
	if _, err := c.kubectl(ctx, text, "apply", "-f", "-"); err != nil {
		return err
	}
	_, err = c.kubectl(ctx, "", "wait", "--for=condition=Ready", "--timeout=120s",
		"ksvc/hello", "ksvc/catcher", "broker/default", "trigger/catcher", "apiserversource/jobs")
	return err
}

// echoImage is the one that this cluster was brought up with.
func echoImage(ctx context.Context) (string, error) {
	names, err := ctr(ctx, "images", "ls", "-q", "name~=dev.local/system/echo")
	if err != nil {
		return "", err
	}
	bin, err := os.Readlink(statePath("cache"))
	if err != nil {
		return "", err
	}
	_, own, _ := strings.Cut(filepath.Base(bin), "-")
	for name := range strings.FieldsSeq(names) {
		if strings.HasSuffix(name, ":"+own) {
			return name, nil
		}
	}
	return "", fmt.Errorf("no image of echo among %q", names)
}

func (c *checker) answersFromZero(ctx context.Context) error {
	if err := c.noPods(ctx, "hello"); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ingressAddress, nil)
	if err != nil {
		return err
	}
	request.Host = "hello." + checkNamespace + "." + domain
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && string(body) != "hello from hello-00001\n" {
		err = fmt.Errorf("%s: %q", answer.Status, body)
	}
	return err
}

// eventFromZero also dials a Service by its name in the cluster, from the host.
func (c *checker) eventFromZero(ctx context.Context) error {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(dnsAddress, "53"))
	}}
	addresses, err := resolver.LookupHost(ctx, "broker-ingress.knative-eventing.svc.cluster.local.")
	if err != nil {
		return err
	}
	id := strconv.FormatInt(time.Now().UnixNano(), 10)
	url := "http://" + addresses[0] + "/" + checkNamespace + "/default"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{}`))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Type": "dev.relevo.check", "Ce-Source": "/check", "Ce-Id": id,
		"Content-Type": "application/json",
	} {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the broker says %s", answer.Status)
	}
	return c.await(ctx, func(a arrival) bool { return a.ID == id })
}
