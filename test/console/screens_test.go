package console_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/relevo-ci/relevo/shared/client"
)

// scene is a server with something on each page.
type scene struct {
	*server
	run, done, failed string
	busy              string // holds the whole pool, and waits for more
	trigger           string
}

// crowd is more than the pool has room for, for some minutes.
const crowd = `
name: Load test
jobs:
  shard:
    name: Shard ${{ matrix.n }}
    strategy: {matrix: {n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48]}}
    steps:
      - {name: Warm up, run: "echo ready"}
      - {name: Fire, run: "sleep $((20 + ${{ matrix.n }} % 4 * 5))"}
  report:
    name: Report
    needs: shard
    steps: [{run: echo}]
`

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
	s.people()
	s.undelivered(s.done, "run-completed-telemetry", "dial tcp 10.0.0.7:6379: connect: connection refused (after 10 tries)")
	s.submit("name: GPU bench\njobs:\n  bench:\n    name: Bench\n    resources: {cpu: \"64\"}\n    steps: [{run: echo}]\n", push)
	s.run = s.submit(sample(t), push)
	until(t, "the sample asks for approval", func() bool {
		r, err := s.Run(t.Context(), s.run)
		if err != nil {
			t.Fatal(err)
		}
		asks, open := false, 0
		for _, j := range r.Jobs {
			asks = asks || j.Approval
			if !j.Final() {
				open++
			}
		}
		return asks && open == 2 // and what comes after it
	})
	s.crowd()
	return s
}

// crowd fills the pool, until the test is over. Some of it is done when it
// returns, which tells how long the rest will take.
func (s *scene) crowd() {
	s.t.Helper()
	of := push
	of.Actor, of.Ref, of.SHA = "chen", "refs/heads/load", "c0ffee1122334455667788990011223344556677"
	s.busy = s.submit(crowd, of)
	s.t.Cleanup(func() {
		if _, err := s.CancelRun(context.Background(), s.busy, "seen"); err != nil {
			s.t.Error(err)
		}
	})
	until(s.t, "some of it is done", func() bool {
		r, err := s.Run(s.t.Context(), s.busy)
		if err != nil {
			s.t.Fatal(err)
		}
		return slices.ContainsFunc(r.Jobs, client.Job.Final)
	})
}

// people are those who have a role, and scripts that have a token.
func (s scene) people() {
	s.t.Helper()
	for _, b := range []client.Binding{
		{Subject: "group:developers", Project: "github/acme/*", Role: "developer"},
		{Subject: "user:ana@example.com", Project: "github/acme/shop", Role: "operator"},
	} {
		if _, err := s.Grant(s.t.Context(), b); err != nil {
			s.t.Fatal(err)
		}
	}
	if _, err := s.MakeToken(s.t.Context(), client.TokenRequest{Name: "release bot", Role: "developer", Projects: []string{"github/acme/shop"}, Days: 30}); err != nil {
		s.t.Fatal(err)
	}
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
		"runs": "/", "filters": "/?branch=main&state=succeeded", "run": "/runs/" + s.run, "run-live": "/runs/" + s.busy, "run-failed": "/runs/" + s.failed, "waterfall": "/runs/" + s.run + "?view=waterfall", "new": "/run?from=" + s.run, "log": "/jobs/" + s.run + ".build", "queue": "/queue",
		"capacity": "/capacity", "events": "/events", "letters": "/events?context=access#deadletters", "triggers": "/triggers", "trigger": "/triggers/" + s.trigger, "access": "/access", "approve": "/jobs/" + s.run + ".approve/approve", "missing": "/runs/none",
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
			until(t, name+" is live", func() bool {
				return eval[bool](b, "!document.querySelector('main[sse-connect]') || !document.getElementById('pulse').hidden")
			})
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

// most picks the colours that there is most of, none like another that was picked:
// a dot that is green stays so.
func most(count map[color.RGBA]int, n int) color.Palette {
	all := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return cmp.Or(count[b]-count[a], rgb(a)-rgb(b)) })
	var p color.Palette
	for _, c := range all {
		if len(p) < n && !slices.ContainsFunc(p, func(o color.Color) bool { return alike(c, o.(color.RGBA)) }) {
			p = append(p, c)
		}
	}
	return p
}

func rgb(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }

func alike(a, b color.RGBA) bool {
	apart := func(a, b uint8) int { return max(int(a), int(b)) - min(int(a), int(b)) }
	return apart(a.R, b.R)+apart(a.G, b.G)+apart(a.B, b.B) < 12
}
