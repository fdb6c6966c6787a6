package kubernetes

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

var update = flag.Bool("update", false, "write the golden files")

// simple are settings with what must be said alone.
func simple() Config {
	return Config{Installation: "one/of many", Namespace: "jobs", AgentImage: "example.org/agent:1", Image: "example.org/image:2"}
}

// provide makes a provider before a cluster that holds these objects.
func provide(t testing.TB, cfg Config, objects ...runtime.Object) *Provider {
	t.Helper()
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	return newProvider(cfg, fake.NewClientset(objects...), &rest.Config{Host: "https://cluster"})
}

// golden compares with a file of testdata, in the form that people read.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (-update writes it):\n%s", path, got)
	}
}

// full are settings and a launch that say everything.
func full() (Config, execution.Launch) {
	cfg := simple()
	cfg.ImagePullSecrets, cfg.ServiceAccount = []string{"registry"}, "jobs"
	cfg.Attributes = map[string]string{"zone": corev1.LabelTopologyZone, "arch": corev1.LabelArchStable}
	cfg.Taints = map[string]corev1.Toleration{"spot": {Key: "spot", Operator: corev1.TolerationOpExists}}
	cfg.EphemeralStorage, cfg.RunAsUser = 10<<30, 1234
	cfg.Labels, cfg.Annotations = map[string]string{"team": "build"}, map[string]string{"note": "ours"}
	cfg.Pools = map[events.PoolID]Nodes{"linux": {
		NodeSelector: map[string]string{"pool": "builds"}, PriorityClass: "low", RuntimeClass: "gvisor",
		Tolerations: []corev1.Toleration{{Key: "builds", Operator: corev1.TolerationOpEqual, Value: "only", Effect: corev1.TaintEffectNoSchedule}},
	}}
	l := conformance.Launch(1, "show")
	l.Installation = cfg.Installation
	l.Image = "example.org/go:1"
	l.Resources = events.Resources{CPU: 1500, Memory: 2 << 30, GPU: 1, Slots: 1}
	l.Job = pipeline.JobSpec{Key: "build", TimeoutMinutes: 30, Requirements: events.Requirements{
		Tolerations: []string{"spot", "node-role.kubernetes.io/control-plane"},
		Affinity: &events.Affinity{
			Required:  map[string]string{"zone": "a", "arch": "amd64", "gpu": "big"},
			Preferred: []events.Preference{{Key: "zone", Value: "a", Weight: 7}, {Key: "disk", Value: "fast", Weight: 9}},
		},
	}}
	return cfg, l
}

func TestJob(t *testing.T) {
	cfg, l := full()
	golden(t, "job-full.json", provide(t, cfg).job(l))
	golden(t, "job-simple.json", provide(t, simple()).job(conformance.Launch(1)))
	root := simple()
	root.Root = true
	l.Workspace = "/src"
	golden(t, "job-root.json", provide(t, root).job(l))
}

// TestNothingSecretInTheJob looks for the token where everybody who may list
// Jobs can read it.
func TestNothingSecretInTheJob(t *testing.T) {
	cfg, l := full()
	l.Token = "only-for-the-secret"
	p := provide(t, cfg)
	job := p.job(l)
	if text, err := json.Marshal(job); err != nil || strings.Contains(string(text), l.Token) {
		t.Errorf("the Job holds the token, %v: %s", err, text)
	}
	job.UID = "uid-of-job"
	secret, err := p.secret(l, job)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(secret.Data[launchFile]), l.Token) || secret.OwnerReferences[0].UID != job.UID {
		t.Errorf("the Secret is %+v", secret)
	}
	var got execution.Launch
	if err := json.Unmarshal(secret.Data[launchFile], &got); err != nil || got.Workspace != workspace || got.Token != l.Token {
		t.Errorf("the Secret holds %s, %v", secret.Data[launchFile], err)
	}
}

func TestALaunchThatIsTooLarge(t *testing.T) {
	l := conformance.Launch(1, strings.Repeat("x", launchMax))
	_, err := provide(t, simple()).secret(l, &batchv1.Job{})
	failed(t, err, true, "holds 1048576")
}

func TestTimeout(t *testing.T) {
	const byDefault = 6 * time.Hour
	input := func(name string) *expression.Node {
		return &expression.Node{Op: expression.Prop, Name: name, Args: []*expression.Node{{Op: expression.Var, Name: "inputs"}}}
	}
	for _, c := range []struct {
		minutes float64
		expr    *expression.Node
		want    time.Duration
	}{
		{0, nil, byDefault},
		{-1, nil, byDefault},
		{0.5, nil, 30 * time.Second},
		{1e300, nil, byDefault},
		{5, input("limit"), 90 * time.Minute},
		{5, input("none"), byDefault},
		{5, &expression.Node{Op: expression.Call, Name: "nosuch"}, byDefault},
		{5, &expression.Node{Op: expression.Lit, Value: "NaN"}, byDefault},
	} {
		l := conformance.Launch(1)
		l.Contexts["inputs"] = json.RawMessage(`{"limit": 90}`)
		l.Contexts["broken"] = json.RawMessage(`{`)
		l.Job.TimeoutMinutes = c.minutes
		if c.expr != nil {
			l.Job.TimeoutExpr = &expression.Template{Parts: []expression.Part{{Expr: c.expr}}}
		}
		if got := timeout(l); got != c.want {
			t.Errorf("%v minutes, %+v: %v, want %v", c.minutes, c.expr, got, c.want)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Installation = "" }, "installation"},
		{func(c *Config) { c.Namespace = "" }, "namespace"},
		{func(c *Config) { c.AgentImage = "" }, "agent"},
		{func(c *Config) { c.RunAsUser = -1 }, "-1"},
		{func(c *Config) { c.Root, c.RunAsUser = true, 5 }, "not both"},
		{func(c *Config) { c.Block = []string{"10.0.0.0/99"} }, "10.0.0.0/99"},
		{func(c *Config) { c.Kubeconfig = filepath.Join(t.TempDir(), "none") }, "none"},
	} {
		cfg := simple()
		c.change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New gave %v, want something of %q", err, c.want)
		}
	}
}

// TestNames has the longest fence: a Job's name has 63 characters at most.
func TestNames(t *testing.T) {
	l := conformance.Launch(1)
	p := provide(t, simple())
	const most = 1<<32 - 1
	l.Fence = events.Fence{Epoch: most, Counter: most}
	if name := p.nameOf(l.Worker, l.Fence); len(name) > 63 {
		t.Errorf("%s has %d characters", name, len(name))
	}
	if err := p.check(l); err != nil {
		t.Error(err)
	}
	for _, bad := range []func(*execution.Launch){
		func(l *execution.Launch) { l.Worker = "" },
		func(l *execution.Launch) { l.Worker = "Über/../all" },
		func(l *execution.Launch) { l.Fence = events.Fence{} },
		func(l *execution.Launch) { l.Image = "NO image" },
	} {
		l := conformance.Launch(1)
		bad(&l)
		failed(t, p.check(l), true, "")
	}
	none := simple()
	none.Image = ""
	failed(t, provide(t, none).check(conformance.Launch(1)), true, "set container")
}
