package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// hub is a registry on loopback with one small image, handed out once the gate
// is open to whoever knows the password.
type hub struct {
	address string
	gate    chan struct{}
	asked   chan struct{} // holds one for each time the layer was asked for
}

func newHub(t testing.TB, password string) *hub {
	t.Helper()
	layer, digest := smallLayer(t)
	config := fmt.Appendf(nil, `{"architecture":%q,"os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[%q]}}`, runtime.GOARCH, digest)
	const kind = "application/vnd.docker.distribution.manifest.v2+json"
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,
		"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":%d,"digest":%q},
		"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":%d,"digest":%q}]}`,
		kind, len(config), digestOf(config), len(layer), digestOf(layer))
	h := &hub{gate: make(chan struct{}), asked: make(chan struct{}, 100)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, known, _ := r.BasicAuth()
		switch path := r.URL.Path; {
		case known != password:
			w.Header().Set("WWW-Authenticate", `Basic realm="hub"`)
			w.WriteHeader(http.StatusUnauthorized)
		case path == "/v2/":
		case strings.HasPrefix(path, "/v2/small/manifests/"):
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(manifest)
		case path == "/v2/small/blobs/"+digestOf(config):
			_, _ = w.Write(config)
		case path == "/v2/small/blobs/"+digestOf(layer):
			w.Header().Set("Content-Length", strconv.Itoa(len(layer)))
			h.asked <- struct{}{}
			select {
			case <-h.gate:
				_, _ = w.Write(layer)
			case <-r.Context().Done():
			}
		default:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`))
		}
	}))
	t.Cleanup(s.Close)
	h.address = strings.TrimPrefix(s.URL, "http://")
	removeImage(t, h.address+"/small:1")
	return h
}

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// smallLayer is a layer that no other image has, and the digest of its tar.
func smallLayer(t testing.TB) (gzipped []byte, digest string) {
	t.Helper()
	var plain, packed bytes.Buffer
	out := tar.NewWriter(&plain)
	body := rand.Text()
	if err := out.WriteHeader(&tar.Header{Name: "etc/made", Mode: 0o644, Size: int64(len(body))}); err != nil {
		t.Fatal(err)
	}
	_, _ = out.Write([]byte(body))
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(plain.Bytes())
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes(), digestOf(plain.Bytes())
}
