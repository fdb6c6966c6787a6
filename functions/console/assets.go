package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var static embed.FS

// assets are the files that pages load. The address of each tells its content,
// so that browsers may keep it for ever.
type assets struct {
	address map[string]string // by name
	files   map[string]asset  // by the last part of the address
}

type asset struct {
	kind          string
	plain, packed []byte
}

// loadAssets reads what was embedded; that it fails is a fault of the build.
func loadAssets() *assets {
	a := &assets{address: map[string]string{}, files: map[string]asset{}}
	entries, err := fs.ReadDir(static, "static")
	for _, e := range entries {
		var raw []byte
		if raw, err = fs.ReadFile(static, "static/"+e.Name()); err != nil {
			break
		}
		sum := sha256.Sum256(raw)
		ext := path.Ext(e.Name())
		hashed := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		kind := mime.TypeByExtension(ext)
		if ext == ".LICENSE" {
			kind = "text/plain; charset=utf-8"
		}
		a.address[e.Name()] = "/static/" + hashed
		a.files[hashed] = asset{kind: kind, plain: raw, packed: packed(raw)}
	}
	if err != nil {
		panic(fmt.Sprintf("console: embedded files: %v", err))
	}
	return a
}

func packed(raw []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(raw) // memory takes it
	_ = z.Close()
	return b.Bytes()
}

// ServeHTTP gives a file under the address that its content has.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", file.kind)
	h.Set("Vary", "Accept-Encoding")
	raw := file.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		raw = file.packed
	}
	_, _ = w.Write(raw)
}
