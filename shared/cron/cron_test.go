package cron_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/shared/cron"
)

// times lists the first times of an expression after a wall time of its zone.
func times(t *testing.T, expression, zone, after string, n int) []string {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", after, loc)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for range n {
		if at, err = cron.Next(expression, zone, at); err != nil {
			t.Fatal(err)
		}
		list = append(list, at.In(loc).Format("01-02 15:04 MST"))
	}
	return list
}

func TestNext(t *testing.T) {
	const ny, berlin, howe = "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"
	for _, c := range []struct{ what, expression, zone, after, want string }{
		{"every quarter", "*/15 * * * *", "", "2026-01-01 00:01", "01-01 00:15 UTC, 01-01 00:30 UTC, 01-01 00:45 UTC"},
		{"strictly after", "0 5 * * *", "", "2026-01-01 05:00", "01-02 05:00 UTC, 01-03 05:00 UTC"},
		{"of a zone", "30 5 * * 1-5", ny, "2026-07-03 06:00", "07-06 05:30 EDT, 07-07 05:30 EDT"},
		{"days of month or week", "0 0 13 * 5", "", "2026-02-01 00:00", "02-06 00:00 UTC, 02-13 00:00 UTC, 02-20 00:00 UTC"},
		{"names", "0 0 1 JAN SUN", "", "2026-01-02 00:00", "01-04 00:00 UTC, 01-11 00:00 UTC"},
		// 2026-03-08 02:00 EST is followed by 03:00 EDT.
		{"leapt over comes after the leap", "30 2 * * *", ny, "2026-03-07 12:00", "03-08 03:00 EDT, 03-09 02:30 EDT"},
		{"leapt over comes once", "*/10 2 * * *", ny, "2026-03-08 01:00", "03-08 03:00 EDT, 03-09 02:00 EDT"},
		{"with what is at the leap too", "0,30 2,3 * * *", ny, "2026-03-08 01:00", "03-08 03:00 EDT, 03-08 03:30 EDT, 03-09 02:00 EDT"},
		{"hourly follows the time that passes", "30 * * * *", ny, "2026-03-08 00:45", "03-08 01:30 EST, 03-08 03:30 EDT"},
		// 2026-11-01 02:00 EDT is followed by 01:00 EST.
		{"twice on the wall, once run", "30 1 * * *", ny, "2026-10-31 12:00", "11-01 01:30 EDT, 11-02 01:30 EST"},
		{"hourly both times", "30 * * * *", ny, "2026-11-01 00:45", "11-01 01:30 EDT, 11-01 01:30 EST, 11-01 02:30 EST"},
		{"minutes of the doubled hour", "*/20 * * * *", ny, "2026-11-01 00:50", "11-01 01:00 EDT, 11-01 01:20 EDT, 11-01 01:40 EDT, 11-01 01:00 EST, 11-01 01:20 EST"},
		{"after the doubled hour", "0 2 * * *", ny, "2026-10-31 12:00", "11-01 02:00 EST"},
		{"Berlin in spring", "30 2 * * *", berlin, "2026-03-28 12:00", "03-29 03:00 CEST, 03-30 02:30 CEST"},
		{"Berlin in autumn", "30 2 * * *", berlin, "2026-10-24 12:00", "10-25 02:30 CEST, 10-26 02:30 CET"},
		// Half an hour: 2026-04-05 02:00 +11 is followed by 01:30 +10:30.
		{"half an hour back", "45 1 * * *", howe, "2026-04-04 12:00", "04-05 01:45 +11, 04-06 01:45 +1030"},
		{"half an hour forth", "15 2 * * *", howe, "2026-10-03 12:00", "10-04 02:30 +11, 10-05 02:15 +11"},
		// Samoa had no 2011-12-30 at all.
		{"a day that was left out", "0 9 * * *", "Pacific/Apia", "2011-12-29 10:00", "12-31 00:00 +14, 12-31 09:00 +14"},
		{"29 February", "0 0 29 2 *", "", "2026-01-01 00:00", "02-29 00:00 UTC"},
	} {
		want := strings.Split(c.want, ", ")
		if got := times(t, c.expression, c.zone, c.after, len(want)); strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s in %q after %s:\n got %v\nwant %v", c.what, c.expression, c.zone, c.after, got, want)
		}
	}
}

func TestNeverIsZero(t *testing.T) {
	at, err := cron.Next("0 0 30 2 *", "Europe/Berlin", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil || !at.IsZero() {
		t.Errorf("30 February is %v, %v", at, err)
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, c := range []struct{ expression, zone string }{
		{"", ""},
		{"* * * *", ""},
		{"* * * * * *", ""},
		{"@daily", ""},
		{"TZ=UTC * * * * *", ""},
		{"60 * * * *", ""},
		{"* 24 * * *", ""},
		{"* * * * 7", ""},
		{"* * 0 * *", ""},
		{"*/0 * * * *", ""},
		{"* * * * *", "Mars/Olympus"},
		{"* * * * *", "Local"},
		{"* * * * *", "../../etc/passwd"},
	} {
		if err := cron.Check(c.expression, c.zone); !errors.Is(err, cron.ErrExpression) {
			t.Errorf("%q in %q: %v", c.expression, c.zone, err)
		}
	}
	if err := cron.Check("5,10-20/2 */3 1 jan mon", "Asia/Kathmandu"); err != nil {
		t.Error(err)
	}
}

// TestTimesRise: times strictly rise, none is passed over by asking from in
// between, and a daily one comes once a day, whatever the clocks do.
func TestTimesRise(t *testing.T) {
	zones := []string{"", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Tehran", "Pacific/Apia"}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		expression := rapid.SampledFrom([]string{"30 2 * * *", "0 0 * * *", "*/7 * * * *", "15 1,2 * * *", "30 */2 * * *", "59 23 * * 0"}).Draw(t, "cron")
		from := time.Unix(rapid.Int64Range(1_200_000_000, 1_900_000_000).Draw(t, "from"), 0)
		next := func(at time.Time) time.Time {
			n, err := cron.Next(expression, zone, at)
			if err != nil || !n.After(at) {
				t.Fatalf("%s in %q after %v: %v, %v", expression, zone, at, n, err)
			}
			return n
		}
		a := next(from)
		b := next(a)
		between := a.Add(time.Duration(rapid.Int64Range(0, int64(b.Sub(a))-1).Draw(t, "between")))
		if got := next(between); !got.Equal(b) {
			t.Fatalf("%s in %q: after %v comes %v, after %v in between %v", expression, zone, a, b, between, got)
		}
		if expression == "30 2 * * *" && (b.Sub(a) < 22*time.Hour || b.Sub(a) > 26*time.Hour) && zone != "Pacific/Apia" {
			t.Fatalf("%s in %q: %v and then %v", expression, zone, a, b)
		}
	})
}

func FuzzNext(f *testing.F) {
	f.Add("*/5 * * * *", "Europe/Berlin", int64(1_700_000_000))
	f.Add("0 0 29 2 1", "", int64(0))
	f.Add("1-5/0 * * * *", "UTC", int64(-1))
	f.Fuzz(func(t *testing.T, expression, zone string, unix int64) {
		after := time.Unix(unix%(1<<33), 0)
		at, err := cron.Next(expression, zone, after)
		if (err == nil) != (cron.Check(expression, zone) == nil) {
			t.Fatalf("Next says %v, Check otherwise", err)
		}
		if err == nil && !at.IsZero() && !at.After(after) {
			t.Fatalf("%v is not after %v", at, after)
		}
	})
}
