package bus

import (
	"slices"

	"github.com/relevo-ci/relevo/events"
)

type tap struct{ see func(events.Envelope) }

// Tap lets see have every published event once, in the order of publishing,
// lost ones included, before any handler has it. It runs within Publish, one
// event at a time, and holds up every publisher: it must be quick and must not
// publish. The function returned ends it.
func (b *Bus) Tap(see func(events.Envelope)) (remove func()) {
	t := &tap{see: see}
	b.mu.Lock()
	defer b.mu.Unlock()
	taps := append(slices.Clone(*b.taps.Load()), t)
	b.taps.Store(&taps)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		rest := slices.DeleteFunc(slices.Clone(*b.taps.Load()), func(other *tap) bool { return other == t })
		b.taps.Store(&rest)
	}
}

func (b *Bus) show(e *events.Envelope) {
	if len(*b.taps.Load()) == 0 {
		return
	}
	b.tapped.Lock()
	defer b.tapped.Unlock()
	for _, t := range *b.taps.Load() {
		b.showOne(t, e)
	}
}

func (b *Bus) showOne(t *tap, e *events.Envelope) {
	defer func() {
		if cause := recover(); cause != nil {
			b.opts.Log.Error("bus: a tap panicked", "panic", cause, "event", e.ID)
		}
	}()
	t.see(*e)
}
