package command

import (
	"fmt"
	"time"
)

// When shows a time relative to now and absolutely: "in 29m (15:04)".
func When(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	t = t.In(now.Location())
	format := "15:04"
	if t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		format = "2006-01-02 15:04"
	}
	d := t.Sub(now)
	relative := "now"
	switch {
	case d >= time.Second:
		relative = "in " + Short(d)
	case d <= -time.Second:
		relative = Short(-d) + " ago"
	}
	return fmt.Sprintf("%s (%s)", relative, t.Format(format))
}

// Short shows a duration with two units at most: "45s", "29m", "1h05m", "3d04h".
func Short(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 10*time.Minute && d%time.Minute != 0:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d.Round(time.Minute)/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// Bytes shows an amount of data in binary units: "0 B", "1.5 KiB".
func Bytes(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.95 && unit < len("KMGTPE")-1 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTPE"[unit])
}
