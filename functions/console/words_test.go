package console

import (
	"testing"
	"time"
)

func TestMoments(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for at, want := range map[time.Duration]string{
		-4 * time.Second: "now", -59 * time.Second: "59 s ago", -47 * time.Hour: "47 h ago", -49 * time.Hour: "27 Feb", -100 * 24 * time.Hour: "21 Nov 2025",
		90 * time.Second: "in 1 min 30 s", 47 * time.Hour: "in 47 h 00 min", 30*24*time.Hour - time.Minute: "in 30 days",
	} {
		if got := (moment{now.Add(at), now, true}).Says(); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "any moment", 4 * time.Second: "any moment", 6 * time.Second: "in about 10 s", 89 * time.Second: "in about 1 min", 40 * time.Minute: "in about 40 min",
		80 * time.Minute: "in about 1 hour", 30 * time.Hour: "in about 30 hours",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

func TestSubject(t *testing.T) {
	t.Parallel()
	for of, want := range map[string]string{
		"run/5P09H3XR2Q33D90ZGZVVNQKHF7/job/integration-tests-on-linux.1": "run …NQKHF7 job integration-tests-on-linux.1",
		"worker/1dcaqncy0vsvz7ryr1m0262afc":                               "worker …262afc",
		"principal/user:ana.maria@example.com":                            "principal user:ana.maria@example.com",
	} {
		if got := subject(of); got != want {
			t.Errorf("%s: %s, want %s", of, got, want)
		}
	}
}
