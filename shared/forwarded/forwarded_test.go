package forwarded_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/forwarded"
)

func networks(text ...string) forwarded.Trusted {
	var all forwarded.Trusted
	for _, s := range text {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// header makes one of name, value, name, value.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestClient(t *testing.T) {
	inside := networks("127.0.0.0/8", "10.0.0.0/8", "fd00::/8")
	const xff, fwd = "X-Forwarded-For", "Forwarded"
	for name, c := range map[string]struct {
		trusted forwarded.Trusted
		remote  string
		header  http.Header
		want    string
	}{
		"nobody is trusted":               {nil, "192.0.2.1:5", header(xff, "198.51.100.7"), "192.0.2.1"},
		"nor is this machine":             {nil, "127.0.0.1:5", header(xff, "198.51.100.7", fwd, "for=198.51.100.7"), "127.0.0.1"},
		"a stranger says who it is":       {inside, "192.0.2.1:5", header(xff, "198.51.100.7"), "192.0.2.1"},
		"a proxy says who it is":          {inside, "10.1.1.1:5", header(xff, "198.51.100.7"), "198.51.100.7"},
		"a chain of proxies":              {inside, "127.0.0.1:5", header(xff, "198.51.100.7, 10.1.1.1,10.2.2.2"), "198.51.100.7"},
		"the same in lines":               {inside, "127.0.0.1:5", header(xff, "198.51.100.7", xff, "10.1.1.1", xff, "10.2.2.2"), "198.51.100.7"},
		"what the client wrote before it": {inside, "10.1.1.1:5", header(xff, "203.0.113.9, 10.9.9.9, 198.51.100.7"), "198.51.100.7"},
		"a proxy that says nothing":       {inside, "10.1.1.1:5", nil, "10.1.1.1"},
		"or nonsense":                     {inside, "10.1.1.1:5", header(xff, "198.51.100.7, unknown"), "10.1.1.1"},
		"nonsense behind a trusted one":   {inside, "127.0.0.1:5", header(xff, "' OR 1, 10.1.1.1"), "10.1.1.1"},
		"an empty element":                {inside, "10.1.1.1:5", header(xff, "198.51.100.7,"), "10.1.1.1"},
		"everybody is trusted":            {inside, "10.1.1.1:5", header(xff, "10.3.3.3, 10.2.2.2"), "10.3.3.3"},
		"with ports":                      {inside, "10.1.1.1:5", header(xff, "[2001:db8::1]:443"), "2001:db8::1"},
		"an address in another form":      {inside, "[::ffff:10.1.1.1]:5", header(xff, "::ffff:198.51.100.7"), "198.51.100.7"},
		"with a zone":                     {inside, "10.1.1.1:5", header(xff, "fe80::1%eth0"), "fe80::1"},
		"the standard's way":              {inside, "10.1.1.1:5", header(fwd, `by=10.1.1.1;For="[2001:db8::1]:80";proto=https`), "2001:db8::1"},
		"a chain of them":                 {inside, "10.1.1.1:5", header(fwd, "for=203.0.113.9, for=198.51.100.7;proto=http", fwd, "for=10.2.2.2"), "198.51.100.7"},
		"a hidden one":                    {inside, "10.1.1.1:5", header(fwd, "for=_secret"), "10.1.1.1"},
		"none":                            {inside, "10.1.1.1:5", header(fwd, "proto=https"), "10.1.1.1"},
		"quotes with commas":              {inside, "10.1.1.1:5", header(fwd, `for="198.51.100.7, for=203.0.113.9"`), "203.0.113.9"},
		"both, and they agree":            {inside, "10.1.1.1:5", header(xff, "198.51.100.7", fwd, "for=198.51.100.7"), "198.51.100.7"},
		"one the proxy's, one made up":    {inside, "10.1.1.1:5", header(xff, "198.51.100.7", fwd, "for=203.0.113.9"), "10.1.1.1"},
		"the other way round":             {inside, "10.1.1.1:5", header(xff, "203.0.113.9", fwd, "for=198.51.100.7"), "10.1.1.1"},
		"a socket":                        {inside, "@", header(xff, "198.51.100.7"), "invalid IP"},
		"hops without end":                {inside, "10.1.1.1:5", header(xff, "198.51.100.7"+strings.Repeat(",10.2.2.2", 100)), "10.2.2.2"},
	} {
		if got := c.trusted.Client(&http.Request{RemoteAddr: c.remote, Header: c.header}); got.String() != c.want {
			t.Errorf("%s: %v, not %s", name, got, c.want)
		}
	}
}

func TestCounted(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "2001:db8:1:2::": "2001:db8:1:2::/64",
	} {
		if got := forwarded.Counted(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is counted as %s, not %s", text, got, want)
		}
	}
}

// FuzzClient: whatever a client writes before the hop that the proxy adds, it is
// the one that the proxy saw, or counted with the proxy's own.
func FuzzClient(f *testing.F) {
	f.Add("203.0.113.9", "for=203.0.113.9")
	f.Add("10.9.9.9,", `for="`)
	f.Add("", "")
	f.Fuzz(func(t *testing.T, said, standard string) {
		h := http.Header{}
		if said != "" {
			h.Add("X-Forwarded-For", said)
		}
		h.Add("X-Forwarded-For", "198.51.100.7")
		if standard != "" {
			h.Set("Forwarded", standard)
		}
		got := networks("10.0.0.0/8").Client(&http.Request{RemoteAddr: "10.1.1.1:5", Header: h}).String()
		if got != "198.51.100.7" && got != "10.1.1.1" {
			t.Errorf("it passes for %s", got)
		}
	})
}
