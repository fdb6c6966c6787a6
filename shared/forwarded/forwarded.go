// Package forwarded tells whose request one is that came through proxies. What
// headers say of it anybody can write: it is believed only as far as those that
// wrote it are trusted.
package forwarded

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Trusted are the networks of the proxies that say the truth about whom they
// serve; empty: none do.
type Trusted []netip.Prefix

// most bounds the hops that are looked at.
const most = 32

// Client is the nearest address that is none of a trusted proxy's: whoever
// connected or, where that is one, whom it names in X-Forwarded-For or Forwarded
// (RFC 7239), and so on. Where a trusted proxy names nobody, or the two headers
// name different ones, it is the proxy itself, so that what clients write there
// gains them nothing. It is not valid where the connection has no address.
func (t Trusted) Client(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	peer := at.Addr().Unmap().WithZone("")
	if !t.trusts(peer) {
		return peer
	}
	usual, standard := elements(r.Header.Values("X-Forwarded-For")), elements(r.Header.Values("Forwarded"))
	byUsual, byStandard := t.walk(peer, usual, address), t.walk(peer, standard, forOf)
	switch {
	case len(standard) == 0 || byUsual == byStandard:
		return byUsual
	case len(usual) == 0:
		return byStandard
	}
	return peer
}

func (t Trusted) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(t, func(p netip.Prefix) bool { return p.Contains(a) })
}

// walk goes from the last hop to the first, as far as hops are trusted.
func (t Trusted) walk(peer netip.Addr, hops []string, read func(string) netip.Addr) netip.Addr {
	last := peer
	for i, hop := range slices.Backward(hops) {
		a := read(hop)
		if !a.IsValid() || len(hops)-i > most {
			return last
		}
		if last = a; !t.trusts(a) {
			return a
		}
	}
	return last
}

// elements are what the lines of a header list.
func elements(lines []string) []string {
	var all []string
	for _, line := range lines {
		all = append(all, strings.Split(line, ",")...)
	}
	return all
}

// address reads 192.0.2.1, 192.0.2.1:80, 2001:db8::1 or [2001:db8::1]:80.
func address(text string) netip.Addr {
	text = strings.TrimSpace(text)
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// forOf reads an element of Forwarded, such as for="[2001:db8::1]:80";proto=https.
// A comma or semicolon within quotes is in no address: what is left names nobody.
func forOf(element string) netip.Addr {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "for") {
			return address(strings.Trim(value, `"`))
		}
	}
	return netip.Addr{}
}

// Counted is what requests are counted by: an address or, of IPv6, the network of
// 64 bits that a subscriber has at least, who could take another address for each
// request.
func Counted(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
