package console_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/relevo-ci/relevo/shared/client"
)

// scene is a server with something on each page.
type scene struct {
	*server
	run, done, failed string
	trigger           string
}

// stage runs what there is to see, up to where the sample asks for approval.
func stage(t *testing.T) scene {
	t.Helper()
	s := scene{server: start(t, "", "127.0.0.1:0")}
	of := push
	of.Actor, of.Ref, of.SHA = "bo", "refs/heads/fix/cart-total", "9a8b7c6d5e4f30211203f4e5d6c7b8a990817263"
	s.failed = s.submit("name: Nightly\njobs:\n  unit:\n    name: Unit tests\n    steps:\n      - name: Run them\n        run: |\n          printf '\\033[31mFAIL\\033[0m TestCartTotal: want 12.50, got 12.49\\n'; echo '::error file=cart/total.go,line=31::want 12.50, got 12.49'; exit 1\n  report:\n    needs: unit\n    steps: [{run: echo}]\n", of)
	of = push
	of.Event, of.Actor, of.Ref = "schedule", "", "refs/heads/main"
	s.done = s.submit("name: Docs\njobs:\n  links: {steps: [{run: sleep 1}]}\n  site: {needs: links, steps: [{run: echo built}]}\n", of)
	s.ended(s.failed)
	s.ended(s.done)
	s.trigger = s.arrivals()
	s.submit("name: GPU bench\njobs:\n  bench:\n    name: Bench\n    resources: {cpu: \"64\"}\n    steps: [{run: echo}]\n", push)
	s.run = s.submit(sample(t), push)
	until(t, "the sample asks for approval", func() bool {
		r, err := s.Run(t.Context(), s.run)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range r.Jobs {
			if j.Approval {
				return true
			}
		}
		return false
	})
	return s
}

// arrivals sends what other systems do, and gives the trigger ledger's newest.
func (s scene) arrivals() string {
	s.t.Helper()
	for i, e := range [][2]string{
		{"com.example.image.pushed", "registry.example/shop@sha256:9f86d081"},
		{"com.example.image.scanned", "registry.example/shop@sha256:9f86d081"},
		{"com.example.ticket.closed", "SHOP-31"},
	} {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/registry","type":%q,"subject":%q,"data":{"tag":"v1.4"}}`, i, e[0], e[1])
		answer, err := http.Post(s.URL+"/v1/events", "application/cloudevents+json", strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusAccepted {
			s.t.Fatalf("an event is answered %s", answer.Status)
		}
	}
	var id string
	until(s.t, "what came was worked on", func() bool {
		list, err := s.Deliveries(s.t.Context(), client.DeliveryFilter{}, 10, "")
		if err != nil {
			s.t.Fatal(err)
		}
		for _, d := range list.Deliveries {
			if d.State != "done" {
				return false
			}
			id = d.ID
		}
		return len(list.Deliveries) == 3
	})
	return id
}

// pages are all that the console shows of a scene.
func (s scene) pages() map[string]string {
	return map[string]string{
		"runs": "/", "filters": "/?branch=main&state=succeeded", "run": "/runs/" + s.run, "run-failed": "/runs/" + s.failed, "waterfall": "/runs/" + s.run + "?view=waterfall", "new": "/run?from=" + s.run, "log": "/jobs/" + s.run + ".build", "queue": "/queue",
		"capacity": "/capacity", "events": "/events", "triggers": "/triggers", "trigger": "/triggers/" + s.trigger, "access": "/access", "approve": "/jobs/" + s.run + ".approve/approve", "missing": "/runs/none",
	}
}

// screens shows each page in light and dark and on a phone: nothing may stand out
// of the window. With -update it writes the pictures.
func screens(t *testing.T, s scene) {
	t.Helper()
	b := open(t, s.server)
	b.allow = []string{"404 (Not Found)"} // of the page that is not there
	looks := []struct {
		name          string
		width, height int64
		scheme        string
	}{{"light", 1280, 900, "light"}, {"dark", 1280, 900, "dark"}, {"phone", 360, 780, "light"}}
	for _, l := range looks {
		b.dress(l.width, l.height, l.scheme)
		for name, path := range s.pages() {
			b.visit(path)
			if name == "log" {
				b.reads(".log-pane", "compile package")
			}
			if wide := eval[int64](b, "document.documentElement.scrollWidth"); wide > l.width {
				t.Errorf("%s on %s is %d wide: %s", name, l.name, wide, eval[string](b, "[...document.querySelectorAll('main *, header *')].filter(n=>n.getBoundingClientRect().right>innerWidth+1&&!n.closest('.graph,.scroll,.log-view,pre,.top nav')).slice(0,5).map(n=>n.tagName+'.'+n.className).join(' ')"))
			}
			if !*update {
				continue
			}
			var raw []byte
			b.do(chromedp.CaptureScreenshot(&raw))
			save(t, filepath.Join("..", "..", "docs", "screens", name+"-"+l.name+".png"), raw)
		}
	}
}

// save writes a picture with as few colours as do: 256.
func save(t *testing.T, path string, raw []byte) {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, fewer(full)); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 150<<10 {
		t.Errorf("%s has %d bytes", path, out.Len())
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fewer maps a picture onto the colours that it has most of.
func fewer(from image.Image) image.Image {
	count := map[color.RGBA]int{}
	b := from.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := from.At(x, y).RGBA()
			count[color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(bl >> 8), 255}]++
		}
	}
	palette := most(count, 256)
	to := image.NewPaletted(b, palette)
	known := map[color.Color]uint8{}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := from.At(x, y)
			i, ok := known[c]
			if !ok {
				i = uint8(palette.Index(c))
				known[c] = i
			}
			to.SetColorIndex(x, y, i)
		}
	}
	return to
}

func most(count map[color.RGBA]int, n int) color.Palette {
	var p color.Palette
	for len(p) < n && len(count) > 0 {
		var best color.RGBA
		top := -1
		for c, k := range count {
			if k > top || k == top && less(c, best) {
				best, top = c, k
			}
		}
		p = append(p, best)
		delete(count, best)
	}
	return p
}

func less(a, b color.RGBA) bool {
	return int(a.R)<<16|int(a.G)<<8|int(a.B) < int(b.R)<<16|int(b.G)<<8|int(b.B)
}
