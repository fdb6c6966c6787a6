package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
)

// Secret is a text that formatting, logging and marshalling do not show.
type Secret string

// Reveal is the text itself.
func (s Secret) Reveal() string { return string(s) }

// String tells only whether there is one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Overrides are extensions by name, in Knative's form of K_CE_OVERRIDES.
type Overrides map[string]string

// Switch is on or off.
type Switch bool

// UnmarshalText reads on or off, and what else is usual.
func (s *Switch) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "on", "true", "yes", "1":
		*s = true
	case "off", "false", "no", "0":
		*s = false
	default:
		return fmt.Errorf("%q is neither on nor off", text)
	}
	return nil
}

var extensionName = regexp.MustCompile(`^[a-z0-9]+$`)

// UnmarshalText reads {"extensions": {"name": "value"}}.
func (o *Overrides) UnmarshalText(text []byte) error {
	var form struct {
		Extensions map[string]string `json:"extensions"`
	}
	if err := json.Unmarshal(text, &form); err != nil {
		return fmt.Errorf(`it is not {"extensions": {"name": "value"}}: %w`, err)
	}
	for name := range form.Extensions {
		if !extensionName.MatchString(name) {
			return fmt.Errorf("%q is no extension's name: lower-case letters and digits", name)
		}
	}
	*o = form.Extensions
	return nil
}

// List is texts, comma-separated.
type List []string

// UnmarshalText reads "a, b".
func (l *List) UnmarshalText(text []byte) error {
	*l = nil
	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part != "" {
			*l = append(*l, part)
		}
	}
	return nil
}

// Networks are in CIDR form, comma-separated; a single address is one too.
type Networks []netip.Prefix

// UnmarshalText reads "10.0.0.0/8, ::1".
func (n *Networks) UnmarshalText(text []byte) error {
	var parts List
	if err := parts.UnmarshalText(text); err != nil {
		return err
	}
	*n = nil
	for _, part := range parts {
		p, err := netip.ParsePrefix(part)
		if a, alone := netip.ParseAddr(part); alone == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("%.80q is no network, such as 10.0.0.0/8", part)
		}
		*n = append(*n, p.Masked())
	}
	return nil
}
