package cluster_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/klog/v2"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/cluster"
	"github.com/relevo-ci/relevo/shared/provider"
)

// settings name a cluster that nobody asks anything.
func settings(t *testing.T) config.Provider {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	const text = `{"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
		"clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}], "users": [{"name": "u", "user": {}}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Provider{KubernetesNamespace: "jobs", KubernetesAgentImage: "agent:1", KubernetesKubeconfig: file}
}

// TestTheClientLogsAsTheProcessDoes: by the one logger, at its level.
func TestTheClientLogsAsTheProcessDoes(t *testing.T) {
	var out bytes.Buffer
	before := slog.Default()
	t.Cleanup(func() {
		slog.SetDefault(before)
		klog.ClearLogger()
	})
	slog.SetDefault(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if _, err := cluster.Open(settings(t), "here"); err != nil {
		t.Fatal(err)
	}
	klog.InfoS("of no interest")
	klog.Background().Error(nil, "watch ended", "resource", "jobs")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"level":"ERROR"`) || !strings.Contains(got, `"resource":"jobs"`) {
		t.Errorf("logged %s", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	for want, spoil := range map[string]func(*config.Provider){
		"node selector":       func(c *config.Provider) { c.KubernetesNodeSelector = "x" },
		"toleration":          func(c *config.Provider) { c.KubernetesTolerations = "x:Never" },
		"a namespace and the": func(c *config.Provider) { c.KubernetesNamespace = "" },
	} {
		c := settings(t)
		spoil(&c)
		if _, err := cluster.Open(c, "here"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestUntrustedIsApart: a namespace and a name of their own, or none.
func TestUntrustedIsApart(t *testing.T) {
	c := settings(t)
	if p, err := cluster.OpenUntrusted(c, "here"); p != nil || err != nil {
		t.Errorf("nobody asked for %v, %v", p, err)
	}
	c.KubernetesUntrustedNamespace = "apart"
	p, err := cluster.OpenUntrusted(c, "here")
	if err != nil || p.Name() != provider.KubernetesOf("default-untrusted") {
		t.Errorf("opened %v, %v", p, err)
	}
	if p, err := cluster.Open(c, "here"); err != nil || p.Name() != provider.KubernetesOf("default") {
		t.Errorf("opened %v, %v", p, err)
	}
}
