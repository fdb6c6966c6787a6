package workers

import "testing"

func TestReportAddress(t *testing.T) {
	s := Settings{Report: map[string]string{"": "http://worker", "docker": "unix:///report.sock"}}
	for provider, want := range map[string]string{"docker": "unix:///report.sock", "kubernetes": "http://worker"} {
		if got := s.report(provider); got != want {
			t.Errorf("%s: %q, want %q", provider, got, want)
		}
	}
}
