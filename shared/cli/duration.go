package cli

import (
	"fmt"
	"time"
)

// Duration writes how long something took as people say it: 850ms, 4.2s,
// 3m07s, 1h02m.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0ms"
	case d.Round(time.Millisecond) < time.Second:
		return fmt.Sprintf("%dms", d.Round(time.Millisecond).Milliseconds())
	case d.Round(100*time.Millisecond) < time.Minute:
		return fmt.Sprintf("%.1fs", d.Round(100*time.Millisecond).Seconds())
	}
	return long(d.Round(time.Second))
}

// elapsed is Duration for what goes on: it changes once a second.
func elapsed(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return long(d)
}

func long(d time.Duration) string {
	if d < time.Hour {
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
