package config

import (
	"errors"
	"net/url"
	"strings"
)

// HeaderMap reads the headers as OpenTelemetry writes them: name=value,
// comma-separated, values escaped as in URLs. The error shows none of them.
func (t Telemetry) HeaderMap() (map[string]string, error) {
	headers := map[string]string{}
	for pair := range strings.SplitSeq(t.Headers.Reveal(), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || err != nil || name == "" {
			return nil, errors.New("headers are written name=value, with commas between")
		}
		headers[name] = value
	}
	return headers, nil
}
