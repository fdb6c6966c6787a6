package workflow

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// own is what Relevo's own keys say of a job, in the file or the overlay.
type own struct {
	retry       *pipeline.Retry
	resources   events.Resources
	affinity    *events.Affinity
	tolerations []string
	priority    int
}

func (o own) apply(s *pipeline.JobSpec) {
	s.Retry = o.retry
	s.Priority = o.priority
	s.Requirements = events.Requirements{
		Resources: o.resources, Affinity: o.affinity, Tolerations: o.tolerations,
	}
}

// own reads Relevo's own keys of a job.
func (r *reader) own(k keyed) own {
	var o own
	if n := k.get("retry"); n != nil {
		o.retry = r.retry(n)
	}
	if n := k.get("resources"); n != nil {
		o.resources = r.resources(n)
	}
	if n := k.get("priority"); n != nil {
		o.priority = r.integer(n, "priority", -language.MostPriority, language.MostPriority)
	}
	if n := k.get("affinity"); n != nil {
		o.affinity = r.affinity(n)
	}
	if n := k.get("tolerations"); n != nil {
		o.tolerations = r.words(n, "tolerations")
	}
	return o
}

func (r *reader) words(n *yaml.Node, what string) []string {
	var words []string
	for _, item := range r.list(n, what) {
		if s, ok := r.word(item, "an entry of "+what); ok {
			words = append(words, s)
		}
	}
	return words
}

func (r *reader) retry(n *yaml.Node) *pipeline.Retry {
	k := r.keyed(n, language.Retry)
	retry := &pipeline.Retry{}
	if v := k.get("max"); v != nil {
		retry.Max = r.integer(v, "max", 0, language.MostRetries)
	}
	if v := k.get("backoff"); v != nil {
		retry.BackoffSeconds = r.duration(v, "backoff", 0, 10*time.Minute, "0 to 10 minutes")
	}
	on := k.get("on")
	if on == nil {
		return retry
	}
	for _, item := range r.oneOrList(on, "on") {
		word, ok := r.word(item, "an entry of on")
		verdict := events.Verdict(word)
		switch {
		case !ok:
		case verdict == events.Infra:
			r.fail(item, "leave it out", "what the infrastructure does wrong is tried again anyway, on a budget of its own")
		case verdict != events.Failed && verdict != events.Timeout:
			r.fail(item, "there are failed, timeout", "on has no verdict %s", quote(word))
		case slices.Contains(retry.On, verdict):
			r.fail(item, "", "on names %s twice", quote(word))
		default:
			retry.On = append(retry.On, verdict)
		}
	}
	return retry
}

// duration reads seconds, or text such as 1m30s, from least to most, which
// bounds says in words.
func (r *reader) duration(n *yaml.Node, what string, least, most time.Duration, bounds string) float64 {
	text, ok := r.word(n, what)
	if !ok {
		return 0
	}
	seconds, isNumber := plain(text).(float64)
	if !isNumber {
		d, err := time.ParseDuration(text)
		if err != nil {
			r.fail(n, "write seconds, or text such as 10s or 2m", "%s %s is no duration", what, quote(text))
			return 0
		}
		seconds = d.Seconds()
	}
	if !(seconds >= least.Seconds() && seconds <= most.Seconds()) {
		r.fail(n, "", "%s must be from %s, not %s", what, bounds, quote(text))
		return 0
	}
	return seconds
}

func (r *reader) resources(n *yaml.Node) events.Resources {
	k := r.keyed(n, language.Resources)
	var res events.Resources
	if v := k.get("cpu"); v != nil {
		res.CPU = r.quantity(v, "cpu", 1000, map[string]float64{"m": 1e-3}, 1024*1000, "cores as 2 or 0.5, or thousandths as 500m; at most 1024")
	}
	if v := k.get("memory"); v != nil {
		const most = 16 << 40
		res.Memory = r.quantity(v, "memory", 1, memoryUnits, most, "bytes, or a number with k, M, G, T, Ki, Mi, Gi or Ti; at most 16Ti")
	}
	if v := k.get("gpu"); v != nil {
		gpus := r.integer(v, "gpu", 0, language.MostGPUs)
		res.GPU = int64(gpus)
	}
	return res
}

var memoryUnits = map[string]float64{
	"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
	"ki": 1 << 10, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}

var quantityPattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)$`)

// quantity reads a number with a unit, times scale and rounded up.
func (r *reader) quantity(n *yaml.Node, what string, scale float64, units map[string]float64, most float64, hint string) int64 {
	text, ok := r.word(n, what)
	if !ok {
		return 0
	}
	m := quantityPattern.FindStringSubmatch(text)
	unit := 1.0
	if m != nil && m[2] != "" {
		unit = units[m[2]]
	}
	if m == nil || unit == 0 {
		r.fail(n, "write "+hint, "%s is no amount of %s", quote(text), what)
		return 0
	}
	number, _ := strconv.ParseFloat(m[1], 64) // out of range is infinite
	amount := math.Ceil(number*unit*scale - 1e-6)
	if amount < 1 || amount > most {
		r.fail(n, "write "+hint, "%s is out of range for %s", quote(text), what)
		return 0
	}
	return int64(amount)
}

func (r *reader) affinity(n *yaml.Node) *events.Affinity {
	k := r.keyed(n, language.Affinity)
	a := &events.Affinity{}
	if v := k.get("required"); v != nil {
		a.Required = map[string]string{}
		for _, f := range r.pairs(v, "required") {
			if s, ok := r.word(f.value, "required."+f.name); ok {
				a.Required[f.name] = s
			}
		}
	}
	if v := k.get("preferred"); v != nil {
		for _, item := range r.list(v, "preferred") {
			a.Preferred = append(a.Preferred, r.preference(item))
		}
	}
	return a
}

func (r *reader) preference(n *yaml.Node) events.Preference {
	k := r.keyed(n, language.Preference)
	var p events.Preference
	if v := k.get("key"); v != nil {
		p.Key, _ = r.word(v, "key")
	}
	if v := k.get("value"); v != nil {
		p.Value, _ = r.word(v, "value")
	}
	if v := k.get("weight"); v != nil {
		p.Weight = r.integer(v, "weight", 1, language.MostWeight)
	}
	return p
}
