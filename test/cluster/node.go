package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	etcdURL     = "http://127.0.0.1:23790"
	etcdPeerURL = "http://127.0.0.1:23800"
)

// controlPlane lists the processes of a node in the order in which they need
// one another, containerd apart.
func controlPlane() []daemon {
	return []daemon{etcd(), apiserver(), controllerManager(), scheduler(), kubelet(), proxy()}
}

func etcd() daemon {
	return daemon{
		name: "etcd",
		argv: []string{
			binary("etcd"),
			"--data-dir=" + statePath("etcd"), "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=" + etcdPeerURL,
			"--initial-advertise-peer-urls=" + etcdPeerURL, "--initial-cluster=default=" + etcdPeerURL,
		},
		ready: answers(etcdURL + "/readyz"),
	}
}

func apiserver() daemon {
	return daemon{
		name: "kube-apiserver",
		argv: []string{
			binary("kube-apiserver"),
			"--etcd-servers=" + etcdURL,
			"--bind-address=" + nodeAddress, "--advertise-address=" + nodeAddress, "--secure-port=6443",
			"--service-cluster-ip-range=" + serviceRange,
			"--tls-cert-file=" + secret("apiserver.crt"), "--tls-private-key-file=" + secret("apiserver.key"),
			"--client-ca-file=" + secret("ca.crt"), "--token-auth-file=" + secret("tokens.csv"),
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + secret("service-accounts.key"),
			"--service-account-signing-key-file=" + secret("service-accounts.key"),
			"--kubelet-certificate-authority=" + secret("ca.crt"),
			"--kubelet-client-certificate=" + secret("apiserver-kubelet.crt"),
			"--kubelet-client-key=" + secret("apiserver-kubelet.key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--shutdown-delay-duration=0", "--event-ttl=30m",
		},
		ready: answers(apiserverURL + "/readyz"),
	}
}

func controllerManager() daemon {
	return daemon{
		name: "kube-controller-manager",
		argv: []string{
			binary("kube-controller-manager"),
			"--kubeconfig=" + kubeconfig("controller-manager"),
			"--authentication-kubeconfig=" + kubeconfig("controller-manager"),
			"--authorization-kubeconfig=" + kubeconfig("controller-manager"),
			"--bind-address=127.0.0.1", "--leader-elect=false",
			"--use-service-account-credentials",
			"--service-account-private-key-file=" + secret("service-accounts.key"),
			"--root-ca-file=" + secret("ca.crt"),
			"--cluster-signing-cert-file=" + secret("ca.crt"), "--cluster-signing-key-file=" + secret("ca.key"),
			"--flex-volume-plugin-dir=" + statePath("volume-plugins"),
		},
		ready: answers("https://127.0.0.1:10257/healthz"),
	}
}

func scheduler() daemon {
	return daemon{
		name: "kube-scheduler",
		argv: []string{
			binary("kube-scheduler"),
			"--kubeconfig=" + kubeconfig("scheduler"),
			"--authentication-kubeconfig=" + kubeconfig("scheduler"),
			"--authorization-kubeconfig=" + kubeconfig("scheduler"),
			"--bind-address=127.0.0.1", "--leader-elect=false",
		},
		ready: answers("https://127.0.0.1:10259/healthz"),
	}
}

func kubelet() daemon {
	return daemon{
		name: "kubelet",
		argv: []string{
			binary("kubelet"),
			"--config=" + statePath("kubelet.yaml"), "--kubeconfig=" + kubeconfig("kubelet"),
			"--root-dir=" + statePath("kubelet"), "--cert-dir=" + statePath("kubelet", "pki"),
			"--hostname-override=" + nodeName, "--node-ip=" + nodeAddress,
		},
		ready: func(ctx context.Context) error {
			out, err := kubectl(ctx, "", "get", "node", nodeName,
				"-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
			if err == nil && out != "True" {
				err = errors.New("the node is not Ready")
			}
			return err
		},
	}
}

// kubeletConfig keeps all the kubelet's files in the state, as far as it lets
// itself be told, and lets a full disk of the machine not matter.
func kubeletConfig() string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
healthzBindAddress: 127.0.0.1
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[2]q}
authorization: {mode: Webhook}
tlsCertFile: %[3]q
tlsPrivateKeyFile: %[4]q
containerRuntimeEndpoint: %[5]q
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
serializeImagePulls: false
imageGCHighThresholdPercent: 100
resolvConf: ""
clusterDomain: cluster.local
clusterDNS: [%[6]s]
podLogsDir: %[7]q
volumePluginDir: %[8]q
maxPods: 300
evictionHard:
  memory.available: 50Mi
  nodefs.available: 1%%
  nodefs.inodesFree: 1%%
  imagefs.available: 1%%
`, nodeAddress, secret("ca.crt"), secret("kubelet.crt"), secret("kubelet.key"),
		"unix://"+containerdSocket(), dnsAddress, statePath("pod-logs"), statePath("volume-plugins"))
}

func proxy() daemon {
	return daemon{
		name: "kube-proxy",
		argv: []string{
			binary("kube-proxy"),
			"--kubeconfig=" + kubeconfig("proxy"), "--hostname-override=" + nodeName,
			"--proxy-mode=iptables", "--cluster-cidr=" + podRange,
			// A Service's change is seen at once: cold starts wait for it.
			"--iptables-min-sync-period=50ms", "--iptables-localhost-nodeports=false",
			// The machine's own limits stay as they are.
			"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
			"--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249",
		},
		ready: answers("http://127.0.0.1:10256/livez"),
	}
}

// answers asks a component of this machine for its health. Some certificates
// are the component's own: it is not asked who it is.
func answers(url string) func(context.Context) error {
	trust := &tls.Config{InsecureSkipVerify: true}
	if strings.HasPrefix(url, apiserverURL) {
		pool := x509.NewCertPool()
		if ca, err := os.ReadFile(secret("ca.crt")); err == nil && pool.AppendCertsFromPEM(ca) {
			trust = &tls.Config{RootCAs: pool}
		}
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: trust}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, answer.Status)
		}
		return nil
	}
}
