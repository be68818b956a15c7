package top

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// row is a process.
type row struct {
	process.Figures
	began time.Time // the current run
}

// uptime is how long the current run has gone on; false: there is none.
func (r *row) uptime(now time.Time) (time.Duration, bool) {
	return max(now.Sub(r.began), 0), r.Run != 0 && !r.State.AtRest()
}

// column is one of the list: how it is shown, and sorted by.
type column struct {
	title   string
	key     Key // that sorts by it; 0: none
	width   int // cells; 0: what is left
	right   bool
	falling bool // the largest stands first, unless that is turned
	text    func(r *row, now time.Time) string
	compare func(a, b *row) int
}

// The columns, in their order.
const (
	colName = iota
	colStatus
	colPID
	colCPU
	colMemory
	colPids
	colUptime
	colRestarts
	colCommand
)

var columns = [...]column{
	colName: {title: "NAME", key: 'n', text: func(r *row, _ time.Time) string { return r.Name }, compare: func(a, b *row) int { return 0 }},
	colStatus: {title: "STATUS", key: 'e', width: 9, text: func(r *row, _ time.Time) string { return r.State.String() },
		compare: func(a, b *row) int { return cmp.Compare(a.State, b.State) }},
	colPID: {title: "PID", width: 7, right: true, text: func(r *row, _ time.Time) string { return number(r.PID) },
		compare: func(a, b *row) int { return cmp.Compare(a.PID, b.PID) }},
	colCPU: {title: "CPU%", key: 'c', width: 6, right: true, falling: true,
		text:    func(r *row, _ time.Time) string { return optional(r.CPUPercent, percent) },
		compare: func(a, b *row) int { return compareKnown(a.CPUPercent, b.CPUPercent) }},
	colMemory: {title: "MEMORY", key: 'm', width: 10, right: true, falling: true,
		text:    func(r *row, _ time.Time) string { return optional(r.Memory, verbs.Size) },
		compare: func(a, b *row) int { return compareKnown(a.Memory, b.Memory) }},
	colPids: {title: "PIDS", key: 'p', width: 5, right: true, falling: true,
		text:    func(r *row, _ time.Time) string { return optional(r.Pids, strconv.Itoa) },
		compare: func(a, b *row) int { return compareKnown(a.Pids, b.Pids) }},
	colUptime: {title: "UPTIME", key: 'u', width: 7, right: true, falling: true,
		text: func(r *row, now time.Time) string {
			if d, ok := r.uptime(now); ok {
				return short(d)
			}
			return "-"
		},
		compare: func(a, b *row) int {
			_, aRuns := a.uptime(a.began)
			_, bRuns := b.uptime(b.began)
			if aRuns && bRuns {
				return b.began.Compare(a.began)
			}
			return compareBool(aRuns, bRuns)
		}},
	colRestarts: {title: "RESTARTS", key: 'a', width: 9, right: true, falling: true, text: func(r *row, _ time.Time) string { return number(r.Restarts) },
		compare: func(a, b *row) int { return cmp.Compare(a.Restarts, b.Restarts) }},
	colCommand: {title: "COMMAND", text: func(r *row, _ time.Time) string { return strings.TrimSpace(r.Command) },
		compare: func(a, b *row) int { return strings.Compare(a.Command, b.Command) }},
}

// optionals are the columns that a narrow screen has no room for, the most wanted first.
var optionals = []int{colPids, colUptime, colPID, colRestarts, colCommand}

// sorting is what the rows are sorted by.
type sorting struct {
	column int
	turned bool
}

// falls reports whether the largest stands first.
func (s sorting) falls() bool { return columns[s.column].falling != s.turned }

// compare orders two rows; equal ones stand by name.
func (s sorting) compare(a, b *row) int {
	order := columns[s.column].compare(a, b)
	byName := strings.Compare(a.Name, b.Name)
	if s.column == colName {
		order, byName = byName, 0
	}
	if s.falls() {
		order = -order
	}
	return cmp.Or(order, byName)
}

// compareKnown orders figures; one that is not known is less than any.
func compareKnown[T cmp.Ordered](a, b *T) int {
	if a != nil && b != nil {
		return cmp.Compare(*a, *b)
	}
	return compareBool(a != nil, b != nil)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func number(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

func percent(p float64) string { return strconv.FormatFloat(p, 'f', 1, 64) }

func optional[T any](v *T, text func(T) string) string {
	if v == nil {
		return "-"
	}
	return text(*v)
}

// short is a length of time in few cells, which changes seldom.
func short(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d < 1000*24*time.Hour:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}
