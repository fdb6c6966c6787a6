package workflow

import (
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are the same wherever a file is read

	"github.com/robfig/cron/v3"
	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

var cronFields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// schedule reads the times of schedule.
func (r *reader) schedule(n *yaml.Node) []pipeline.Time {
	var times []pipeline.Time
	items := r.list(n, "schedule")
	if n.Kind == yaml.SequenceNode && len(items) == 0 {
		r.fail(n, "", "schedule is empty")
	}
	for _, item := range items {
		k := r.keyed(item, language.Schedule)
		var t pipeline.Time
		if c := k.get("cron"); c != nil {
			t.Cron = r.cron(c)
		}
		if z := k.get("timezone"); z != nil {
			t.Zone = r.zone(z)
		}
		if m := k.get("missed"); m != nil {
			t.Missed = r.missed(m)
		}
		times = append(times, t)
	}
	return times
}

func (r *reader) cron(n *yaml.Node) string {
	const hint = "minute, hour, day of the month, month, day of the week"
	text, ok := r.word(n, "cron")
	if !ok {
		return ""
	}
	if strings.Contains(text, "=") || len(strings.Fields(text)) != 5 { // the parser would take a time zone
		r.fail(n, hint, "cron %s is not five fields", quote(text))
	} else if _, err := cronFields.Parse(text); err != nil {
		r.fail(n, hint, "cron %s is not valid: %s", quote(text), err)
	}
	return text
}

func (r *reader) zone(n *yaml.Node) string {
	name, ok := r.word(n, "timezone")
	if !ok {
		return ""
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		r.fail(n, "write its name in the IANA's list, e.g. Europe/Madrid", "there is no time zone %s", quote(name))
	}
	return name
}

func (r *reader) missed(n *yaml.Node) string {
	word, ok := r.word(n, "missed")
	if ok && !slices.Contains(language.MissedPolicies, word) {
		r.fail(n, "there are "+strings.Join(language.MissedPolicies, ", "), "missed cannot be %s", quote(word))
	}
	return word
}
