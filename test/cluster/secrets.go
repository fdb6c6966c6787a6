package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

func secret(name string) string { return statePath("secrets", name) }

// users are whom the token file knows, with their groups: the bindings that
// every cluster has by default give them their rights.
var users = []struct{ file, user, group string }{
	{"admin", "admin", "system:masters"},
	{"controller-manager", "system:kube-controller-manager", ""},
	{"scheduler", "system:kube-scheduler", ""},
	{"proxy", "system:kube-proxy", ""},
	{"kubelet", "system:node:" + nodeName, "system:nodes"},
}

// makeSecrets makes a throw-away authority and what it signs, the key of the
// service accounts, and a token and kubeconfig per user.
func makeSecrets() error {
	if _, err := os.Stat(kubeconfig("admin")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	addresses := []net.IP{net.ParseIP(nodeAddress), net.ParseIP(firstService), net.IPv4(127, 0, 0, 1)}
	names := []string{
		"localhost", nodeName, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local",
	}
	for _, leaf := range []struct{ file, user, group string }{
		{"apiserver", "kube-apiserver", ""},
		// With this one the apiserver asks the kubelet for logs.
		{"apiserver-kubelet", "kube-apiserver", "system:masters"},
		{"kubelet", "system:node:" + nodeName, "system:nodes"},
	} {
		if err := authority.sign(leaf.file, leaf.user, leaf.group, names, addresses); err != nil {
			return err
		}
	}
	if _, err := newKey("service-accounts.key"); err != nil {
		return err
	}
	return makeTokens()
}

func makeTokens() error {
	var all strings.Builder
	tokens := map[string]string{}
	for _, u := range users {
		tokens[u.file] = rand.Text()
		fmt.Fprintf(&all, "%s,%q,%s,%q\n", tokens[u.file], u.user, u.file, u.group)
	}
	if err := os.WriteFile(secret("tokens.csv"), []byte(all.String()), 0o600); err != nil {
		return err
	}
	// The admin's is the last: that it stands says that all do.
	for _, u := range slices.Backward(users) {
		if err := writeKubeconfig(u.file, tokens[u.file]); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(user, token string) error {
	ca, err := os.ReadFile(secret("ca.crt"))
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: relevo
clusters:
- name: relevo
  cluster: {server: %q, certificate-authority-data: %s}
users:
- name: %s
  user: {token: %s}
contexts:
- name: relevo
  context: {cluster: relevo, user: %s}
`, apiserverURL, base64.StdEncoding.EncodeToString(ca), user, token, user)
	return replace(kubeconfig(user), func(tmp string) error { return os.WriteFile(tmp, []byte(text), 0o600) })
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := newKey("ca.key")
	if err != nil {
		return nil, err
	}
	template := certificate("relevo test cluster", "")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{parsed, key}, writePEM("ca.crt", "CERTIFICATE", der)
}

func (a *authority) sign(file, user, group string, names []string, addresses []net.IP) error {
	key, err := newKey(file + ".key")
	if err != nil {
		return err
	}
	template := certificate(user, group)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames, template.IPAddresses = names, addresses
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writePEM(file+".crt", "CERTIFICATE", der)
}

func certificate(user, group string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // rand.Reader never fails
	c := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: user},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
	}
	if group != "" {
		c.Subject.Organization = []string{group}
	}
	return c
}

func newKey(file string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(file, "EC PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(secret(file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
