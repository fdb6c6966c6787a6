package trigger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// every is a fake of the computing of times: the expression is a duration, and
// its times are the multiples of it.
func every(cron, _ string, after time.Time) (time.Time, error) {
	if cron == "never" {
		return time.Time{}, nil
	}
	d, err := time.ParseDuration(cron)
	if err != nil {
		return time.Time{}, errors.New("cron: " + cron + " is wrong")
	}
	return after.Truncate(d).Add(d), nil
}

const grace = 5 * time.Minute

func schedule(timers ...trigger.Timer) *trigger.Schedule {
	s := &trigger.Schedule{Forge: "github", Repository: "acme/app"}
	s.Set(timers, noon, every)
	return s
}

func TestScheduleOnTime(t *testing.T) {
	s := schedule(trigger.Timer{File: "a.yaml", Cron: "1h", Zone: "UTC"}, trigger.Timer{File: "b.yaml", Cron: "24h"})
	if !s.Due().Equal(noon.Add(time.Hour)) || s.Fire(noon.Add(59*time.Minute), grace, every) != nil {
		t.Fatalf("due %v", s.Due())
	}
	ticks := s.Fire(noon.Add(time.Hour+time.Second), grace, every)
	if len(ticks) != 1 || ticks[0].File != "a.yaml" || !ticks[0].At.Equal(noon.Add(time.Hour)) || ticks[0].Late {
		t.Fatalf("%+v", ticks)
	}
	if again := s.Fire(noon.Add(time.Hour+time.Second), grace, every); again != nil || !s.Due().Equal(noon.Add(2*time.Hour)) {
		t.Errorf("%+v, due %v", again, s.Due())
	}
}

func TestScheduleMissed(t *testing.T) {
	for _, c := range []struct {
		what   string
		cron   string
		missed trigger.Missed
		passed time.Duration
		at     time.Duration // 0: no tick
		late   bool
	}{
		{"by default once", "1h", "", 3*time.Hour + 30*time.Minute, 3 * time.Hour, true},
		{"once", "1h", trigger.MissedOnce, 90 * time.Minute, time.Hour, true},
		{"skipped", "1h", trigger.MissedSkip, 90 * time.Minute, 0, false},
		{"skipped but for the last, which is on time", "1h", trigger.MissedSkip, 3*time.Hour + time.Minute, 3 * time.Hour, false},
		{"a little late", "1h", trigger.MissedSkip, time.Hour + 5*time.Minute, time.Hour, false},
		{"once, the last on time", "1h", trigger.MissedOnce, 3*time.Hour + time.Minute, 3 * time.Hour, false},
		{"years away", "1m", trigger.MissedOnce, 3 * 365 * 24 * time.Hour, 3 * 365 * 24 * time.Hour, false},
		{"years away, rarely", "24h", trigger.MissedSkip, 3*365*24*time.Hour + 6*time.Hour, 0, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			calls := 0
			counted := func(cron, zone string, after time.Time) (time.Time, error) {
				calls++
				return every(cron, zone, after)
			}
			s := schedule(trigger.Timer{File: "a", Cron: c.cron, Missed: c.missed})
			now := noon.Add(c.passed)
			ticks := s.Fire(now, grace, counted)
			if len(ticks) != map[bool]int{false: 0, true: 1}[c.at > 0] || c.at > 0 && (!ticks[0].At.Equal(noon.Add(c.at)) || ticks[0].Late != c.late) {
				t.Errorf("%+v", ticks)
			}
			if !s.Due().After(now) || calls > 100 {
				t.Errorf("due %v after %d calls", s.Due(), calls)
			}
		})
	}
}

func TestScheduleSet(t *testing.T) {
	s := schedule(trigger.Timer{File: "a", Cron: "1h"}, trigger.Timer{File: "a", Cron: "1h"}, trigger.Timer{File: "b", Cron: "24h"})
	if len(s.Timers) != 2 {
		t.Fatalf("%+v: it stands twice", s.Timers)
	}
	// A push while the first is overdue: the tick is neither lost nor doubled.
	late := noon.Add(time.Hour + time.Minute)
	s.Set([]trigger.Timer{{File: "a", Cron: "1h", Missed: trigger.MissedSkip}, {File: "c", Cron: "2h"}, {File: "d", Cron: "bad"}, {File: "e", Cron: "never"}}, late, every)
	if len(s.Timers) != 4 || !s.Due().Equal(noon.Add(time.Hour)) || s.Timers[0].Missed != trigger.MissedSkip {
		t.Fatalf("%+v", s.Timers)
	}
	if s.Timers[2].Error != "cron: bad is wrong" || !s.Timers[2].Next.IsZero() || s.Timers[3].Error != "" {
		t.Errorf("%+v", s.Timers)
	}
	if ticks := s.Fire(late, grace, every); len(ticks) != 1 || ticks[0].File != "a" {
		t.Errorf("%+v", ticks)
	}
	s.Set([]trigger.Timer{{File: "a", Cron: "1h"}}, late, every)
	if ticks := s.Fire(late, grace, every); ticks != nil {
		t.Errorf("%+v: it comes twice", ticks)
	}
	s.Set([]trigger.Timer{{File: "a", Cron: "3h"}}, late, every)
	if !s.Due().Equal(noon.Add(3 * time.Hour)) {
		t.Errorf("a changed timer is due %v", s.Due())
	}
	s.Set(nil, late, every)
	if !s.Due().IsZero() {
		t.Errorf("nothing is due %v", s.Due())
	}
}

// TestTicksHaveIDs: a time of a timer has one id, and no other has it.
func TestTicksHaveIDs(t *testing.T) {
	tick := trigger.Tick{Forge: "github", Repository: "acme/app", File: "a", Cron: "0 5 * * *", At: noon}
	seen := map[string]bool{tick.Sender(): true}
	late := tick
	late.Late = true
	if !seen[late.Sender()] {
		t.Error("a late tick is another one")
	}
	for _, change := range []func(*trigger.Tick){
		func(t *trigger.Tick) { t.Forge = "gitea" }, func(t *trigger.Tick) { t.Repository = "acme/lib" },
		func(t *trigger.Tick) { t.File = "b" }, func(t *trigger.Tick) { t.Cron = "0 6 * * *" },
		func(t *trigger.Tick) { t.Zone = "UTC" }, func(t *trigger.Tick) { t.At = noon.Add(time.Minute) },
	} {
		other := tick
		change(&other)
		if seen[other.Sender()] {
			t.Errorf("%+v has the id of another", other)
		}
		seen[other.Sender()] = true
	}
}

// TestScheduleProperties: however late the clock comes and however often the
// schedule is set again, no time is run twice, ticks are times of the schedule,
// and with once nothing that was missed goes without a run.
func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		timer := trigger.Timer{
			File: "a", Cron: rapid.SampledFrom([]string{"1m", "7m", "1h", "24h"}).Draw(t, "every"),
			Missed: rapid.SampledFrom([]trigger.Missed{"", trigger.MissedOnce, trigger.MissedSkip}).Draw(t, "missed"),
		}
		s := schedule(timer)
		now, last := noon, noon
		ran := map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(30*time.Hour)).Draw(t, "wait")) / time.Duration(rapid.SampledFrom([]int{1, 60, 3600}).Draw(t, "less")))
			},
			"set": func(*rapid.T) { s.Set([]trigger.Timer{timer}, now, every) },
			"fire": func(t *rapid.T) {
				missed, _ := every(timer.Cron, "", last)
				ticks := s.Fire(now, grace, every)
				if !missed.After(now) && timer.Missed != trigger.MissedSkip && len(ticks) != 1 {
					t.Fatalf("%v was missed at %v, ticks %+v", missed, now, ticks)
				}
				for _, tick := range ticks {
					if ran[tick.Sender()] || tick.At.After(now) || !tick.At.After(last) || strings.Contains(tick.Sender(), "0001") {
						t.Fatalf("%+v at %v, the last one at %v", tick, now, last)
					}
					if tick.Late != (now.Sub(tick.At) > grace) || tick.Late && timer.Missed == trigger.MissedSkip {
						t.Fatalf("%+v at %v", tick, now)
					}
					ran[tick.Sender()] = true
				}
				last = now
			},
			"": func(t *rapid.T) {
				if len(ran) > 0 && !s.Due().After(last) {
					t.Fatalf("due %v, fired at %v", s.Due(), last)
				}
			},
		})
	})
}
