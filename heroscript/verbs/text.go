package verbs

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// Time is a moment for people: local, to the second.
func Time(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// ZonedTime is a time of a schedule for people: local, with the zone, and with seconds where
// it has any.
func ZonedTime(t time.Time) string {
	t = t.Local()
	if t.Second() != 0 {
		return t.Format("2006-01-02 15:04:05 MST")
	}
	return t.Format("2006-01-02 15:04 MST")
}

// Seconds is a length of time for people.
func Seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d >= 10*time.Second || d == 0 || d%time.Second == 0:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + "s"
}

// Size is a number of bytes for people, in powers of 1024.
func Size(bytes uint64) string {
	if bytes < 1<<10 {
		return fmt.Sprintf("%d B", bytes)
	}
	size, unit := float64(bytes)/(1<<10), "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB"} {
		if size < 1024 {
			break
		}
		size, unit = size/1024, next
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}

func cpuTime(usec int64) string { return fmt.Sprintf("%.3fs", float64(usec)/1e6) }

func percent(p float64) string { return fmt.Sprintf("%.1f", p) }

func uptime(r process.Run) string {
	if r.Start.IsZero() || r.Cause == process.CauseLost {
		return "-"
	}
	return Seconds(r.Uptime)
}

// span is when a run began and, if it has, ended.
func span(r process.Run) string {
	switch {
	case r.Start.IsZero():
		return "at " + Time(r.End)
	case r.End.IsZero():
		return "since " + Time(r.Start)
	}
	return Time(r.Start) + " to " + Time(r.End)
}

func number[T int | uint64](n T) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func optional[T any](v *T, text func(T) string) string {
	if v == nil {
		return "-"
	}
	return text(*v)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func joined(names []string) string { return orDash(strings.Join(names, ", ")) }

// firstLine is the beginning of text, at most width cells, on one line and
// with nothing that a terminal would act on.
func firstLine(text string, width int) string {
	line, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, line)
	if more && screen.Cells(line) <= width {
		return line + "…"
	}
	return screen.Cut(line, width)
}

// cut is the beginning of a text that is longer than so many bytes, with a sign that
// more follows.
func cut(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	for bytes > 0 && !utf8.RuneStart(text[bytes]) {
		bytes--
	}
	return text[:bytes] + "…"
}
