package kubernetes

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Networks that jobs never reach: the link-local ones, where clouds keep the
// credentials of their nodes, and Amazon's for IPv6.
var metadata = []string{"169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128"}

// nodeDNS is where a node's own cache of names listens, by convention, in one
// of those networks.
const nodeDNS = "169.254.20.10/32"

// policy is what the installation's jobs may talk to: nobody reaches them, and
// they reach everything but the blocked networks. It takes a network plugin
// that enforces policies.
func (p *Provider) policy() *networkingv1.NetworkPolicy {
	egress := p.cfg.Egress
	if egress == nil {
		egress = p.egress()
	}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Name: p.policyName(), Namespace: p.cfg.Namespace,
			Labels:      map[string]string{keyManager: manager, keyInstallation: p.hash},
			Annotations: map[string]string{keyInstallation: p.cfg.Installation},
		},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{keyInstallation: p.hash}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Egress:      egress,
		},
	}
}

// egress is the default. Pods are named apart from addresses: some plugins,
// such as Cilium, do not take a pod's address for one of a network. Whoever
// blocks a network means the pods in it as well, so then they are not named;
// names are resolved all the same.
func (p *Provider) egress() []networkingv1.NetworkPolicyEgressRule {
	blocked := slices.Concat(metadata, p.cfg.Block)
	everything := []networkingv1.NetworkPolicyPeer{
		{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: family(blocked, true)}},
		{IPBlock: &networkingv1.IPBlock{CIDR: "::/0", Except: family(blocked, false)}},
	}
	if len(p.cfg.Block) == 0 {
		everything = append(everything, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}})
	}
	udp, tcp, dns := corev1.ProtocolUDP, corev1.ProtocolTCP, intstr.FromInt32(53)
	return []networkingv1.NetworkPolicyEgressRule{
		{To: everything},
		{
			To: []networkingv1.NetworkPolicyPeer{
				{IPBlock: &networkingv1.IPBlock{CIDR: nodeDNS}},
				{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: metav1.NamespaceSystem}}},
			},
			Ports: []networkingv1.NetworkPolicyPort{{Protocol: &udp, Port: &dns}, {Protocol: &tcp, Port: &dns}},
		},
	}
}

// family are the networks of IPv4, or of IPv6.
func family(networks []string, four bool) []string {
	var some []string
	for _, network := range networks {
		if prefix, err := netip.ParsePrefix(network); err == nil && prefix.Addr().Is4() == four {
			some = append(some, network)
		}
	}
	return some
}
