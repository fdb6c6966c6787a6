package kubernetes

import (
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// Where things are in a pod. The agent's binary is on a volume of its own, so
// that the job cannot write to it.
const (
	agentAt    = "/relevo/bin/agent"
	launchFile = "launch.json"
	launchAt   = "/relevo/job/" + launchFile // with room for the agent's own files
	givenAt    = "/relevo/launch"            // the Secret, in the first container alone
	homeAt     = "/relevo/home"
	workspace  = "/workspace"

	// inspectPort is where the agent listens on the loopback for who looks in:
	// a pod has its network for itself, so it can be the same in all.
	inspectPort = 8472

	installContainer = "install"
	agentContainer   = "agent"

	volumeAgent, volumeJob, volumeLaunch = "agent", "job", "launch"
	volumeHome, volumeWorkspace          = "home", "workspace"
)

// capabilities are what root has in a container where Config.Root allows it:
// those without which package managers and builds fail. All are within the Pod
// Security Standard "baseline".
var capabilities = []corev1.Capability{
	"CHOWN",        // unpack files that belong to others
	"DAC_OVERRIDE", // work in folders that belong to others
	"FOWNER",       // chmod and touch files that were given away
	"FSETID",       // keep the setgid bit of what is unpacked
	"SETUID",       // step down to another user, as apt does for downloads
	"SETGID",       // and to its groups
	"KILL",         // the agent ends steps that stepped down
}

// template is the pod. Whoever removes nodes to save money is asked to leave
// it alone: a build that is evicted begins anew.
func (p *Provider) template(l execution.Launch) corev1.PodTemplateSpec {
	annotations, labels := maps.Clone(p.cfg.Annotations), maps.Clone(p.cfg.Labels)
	if annotations == nil {
		annotations = map[string]string{}
	}
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(annotations, map[string]string{
		"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
		"karpenter.sh/do-not-disrupt":                    "true",
		"kubectl.kubernetes.io/default-container":        agentContainer,
	})
	maps.Copy(annotations, p.annotations(l))
	maps.Copy(labels, p.labels(l))
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations},
		Spec:       p.podSpec(l),
	}
}

func (p *Provider) podSpec(l execution.Launch) corev1.PodSpec {
	no, grace := false, seconds(p.grace(l)+lastWords)
	nodes := p.cfg.nodes(l.Pool)
	spec := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		AutomountServiceAccountToken:  &no,
		EnableServiceLinks:            &no,
		ServiceAccountName:            p.cfg.ServiceAccount,
		TerminationGracePeriodSeconds: &grace,
		SecurityContext:               p.podSecurity(),
		PriorityClassName:             nodes.PriorityClass,
		NodeSelector:                  map[string]string{corev1.LabelOSStable: "linux"},
		Tolerations:                   p.tolerations(l),
		Affinity:                      p.affinity(l),
		InitContainers:                []corev1.Container{p.install(l)},
		Containers:                    []corev1.Container{p.agent(l)},
		Volumes:                       p.volumes(l),
	}
	maps.Copy(spec.NodeSelector, nodes.NodeSelector)
	if nodes.RuntimeClass != "" {
		spec.RuntimeClassName = &nodes.RuntimeClass
	}
	for _, name := range p.cfg.ImagePullSecrets {
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	return spec
}

// podSecurity says who all containers run as: the same user, since the launch
// is readable for its owner alone. The group is left to the image: without an
// entry in its list of users it is 0, which is what images for arbitrary users
// count on.
func (p *Provider) podSecurity() *corev1.PodSecurityContext {
	user, nonRoot := p.cfg.RunAsUser, true
	if p.cfg.Root {
		user, nonRoot = 0, false
	}
	return &corev1.PodSecurityContext{
		RunAsUser: &user, RunAsNonRoot: &nonRoot,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func (p *Provider) containerSecurity() *corev1.SecurityContext {
	no := false
	s := &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, Privileged: &no,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if p.cfg.Root {
		s.Capabilities.Add = capabilities
	}
	return s
}

// install is the container that brings the agent and the launch. It asks for
// what the job asks for: the pod needs no more by that, and a quota may want
// each container to say something.
func (p *Provider) install(l execution.Launch) corev1.Container {
	return corev1.Container{
		Name:            installContainer,
		Image:           p.cfg.AgentImage,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            []string{"install", agentAt, givenAt + "/" + launchFile, launchAt},
		SecurityContext: p.containerSecurity(),
		Resources:       p.resources(l, false),
		VolumeMounts: []corev1.VolumeMount{
			{Name: volumeAgent, MountPath: "/relevo/bin"},
			{Name: volumeJob, MountPath: "/relevo/job"},
			{Name: volumeLaunch, MountPath: givenAt, ReadOnly: true},
		},
	}
}

// agent is the container of the job's image. What the image says of entry point
// and command is for its own program, not for the agent.
func (p *Provider) agent(l execution.Launch) corev1.Container {
	c := corev1.Container{
		Name:                     agentContainer,
		Image:                    p.image(l),
		ImagePullPolicy:          corev1.PullIfNotPresent,
		Command:                  []string{agentAt, "run", launchAt, strconv.Itoa(inspectPort)},
		WorkingDir:               "/",
		SecurityContext:          p.containerSecurity(),
		Resources:                p.resources(l, true),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		VolumeMounts: []corev1.VolumeMount{
			{Name: volumeAgent, MountPath: "/relevo/bin", ReadOnly: true},
			{Name: volumeJob, MountPath: "/relevo/job"},
		},
	}
	if !p.cfg.Root {
		// An image's folders seldom belong to the user that is imposed on it.
		c.Env = append(c.Env, corev1.EnvVar{Name: "HOME", Value: homeAt})
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volumeHome, MountPath: homeAt})
	}
	// Elsewhere the image may hold what the job wants to work with.
	if workspaceOf(l) == workspace {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volumeWorkspace, MountPath: workspace})
	}
	return c
}

func (p *Provider) volumes(l execution.Launch) []corev1.Volume {
	mode := int32(0o444) // the containers' user is not known to own it
	empty := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
	}
	return []corev1.Volume{
		empty(volumeAgent),
		empty(volumeJob),
		empty(volumeHome),
		empty(volumeWorkspace),
		{Name: volumeLaunch, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: p.nameOf(l.Worker, l.Fence), DefaultMode: &mode,
		}}},
	}
}

func (p *Provider) image(l execution.Launch) string {
	if l.Image != "" {
		return l.Image
	}
	return p.cfg.Image
}

func workspaceOf(l execution.Launch) string {
	if l.Workspace == "" || l.Workspace[0] != '/' {
		return workspace
	}
	return l.Workspace
}

// resources are what is asked for and the limit at once: a job is neither
// slower nor killed because of its neighbours.
func (p *Provider) resources(l execution.Launch, gpu bool) corev1.ResourceRequirements {
	list := corev1.ResourceList{}
	if n := l.Resources.CPU; n != 0 {
		list[corev1.ResourceCPU] = *resource.NewMilliQuantity(n, resource.DecimalSI)
	}
	if n := l.Resources.Memory; n != 0 {
		list[corev1.ResourceMemory] = *resource.NewQuantity(n, resource.BinarySI)
	}
	if n := p.cfg.EphemeralStorage; n != 0 {
		list[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(n, resource.BinarySI)
	}
	if n := l.Resources.GPU; n != 0 && gpu {
		list[corev1.ResourceName(p.cfg.GPU)] = *resource.NewQuantity(n, resource.DecimalSI)
	}
	if len(list) == 0 {
		return corev1.ResourceRequirements{}
	}
	return corev1.ResourceRequirements{Requests: list, Limits: maps.Clone(list)}
}

// tolerations are the pool's, and those of the job's that Config.Taints knows.
func (p *Provider) tolerations(l execution.Launch) []corev1.Toleration {
	all := slices.Clone(p.cfg.nodes(l.Pool).Tolerations)
	for _, taint := range l.Job.Requirements.Tolerations {
		if t, ok := p.cfg.Taints[taint]; ok {
			all = append(all, t)
		}
	}
	return all
}

// affinity is that of the job, as far as Config.Attributes knows its words.
func (p *Provider) affinity(l execution.Launch) *corev1.Affinity {
	wanted := l.Job.Requirements.Affinity
	if wanted == nil {
		return nil
	}
	is := func(label, value string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: label, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}
	}
	var nodes corev1.NodeAffinity
	var required []corev1.NodeSelectorRequirement
	for _, attribute := range slices.Sorted(maps.Keys(wanted.Required)) {
		if label, ok := p.cfg.Attributes[attribute]; ok {
			required = append(required, is(label, wanted.Required[attribute]))
		}
	}
	if required != nil {
		nodes.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: required}},
		}
	}
	for _, preferred := range wanted.Preferred {
		if label, ok := p.cfg.Attributes[preferred.Key]; ok {
			nodes.PreferredDuringSchedulingIgnoredDuringExecution = append(nodes.PreferredDuringSchedulingIgnoredDuringExecution,
				corev1.PreferredSchedulingTerm{
					Weight:     int32(preferred.Weight),
					Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{is(label, preferred.Value)}},
				})
		}
	}
	if required == nil && nodes.PreferredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	return &corev1.Affinity{NodeAffinity: &nodes}
}
