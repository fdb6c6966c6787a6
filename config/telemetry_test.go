package config_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/config"
)

func TestHeaders(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"": {}, " , ": {}, "a=b": {"a": "b"}, "authorization=Basic%20eA==, x = y ": {"authorization": "Basic eA==", "x": "y"},
		"s3cret": nil, "=s3cret": nil, "a=%zz,s3cret": nil,
	} {
		got, err := config.Telemetry{Headers: config.Secret(text)}.HeaderMap()
		if (want == nil) != (err != nil) || want != nil && !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the error shows it: %v", text, err)
		}
	}
}
