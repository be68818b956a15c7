package verbs

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// runRows show a run, a line each. Its CPU use is known while it lasts: over the last while,
// and since the start.
func runRows(row func(name, value string), r process.Run, now, all *float64) {
	row("run", number(r.Number))
	row("job", r.JobID)
	row("asked by", asker(r.Asked))
	row("result", outcome(r))
	row("error", screen.Line(r.Error))
	if !r.Start.IsZero() {
		row("time", span(r))
		row("uptime", uptime(r))
	}
	if r.Paused > 0 {
		row("paused", Seconds(r.Paused)+" of that")
	}
	if r.Stopping > 0 {
		row("took to end", Seconds(r.Stopping))
	}
	cpuRows(row, r.Usage, now, all)
	memoryRows(row, r)
	ioRows(row, r.Usage)
	if r.Pids != nil {
		row("pids", strconv.Itoa(*r.Pids)+from(r.PidsSource))
	}
	row("tasks", tasks(r.Usage))
	if r.Pressure != nil {
		row("cpu wait", stood(r.Pressure.CPU))
		row("memory wait", stood(r.Pressure.Memory))
		row("io wait", stood(r.Pressure.IO))
	}
	if r.Frozen != nil && float64(*r.Frozen)/1e6 > r.Paused+notPaused {
		row("frozen", cpuTime(*r.Frozen))
	}
	if l := r.LeftBehind; l != nil {
		row("left behind", fmt.Sprintf("%d ended after the main process: %s", l.Count, joined(l.Names)))
	}
	row("advice", forkedAway(r))
}

// notPaused is for how many seconds more than it was paused a tree stands still when somebody
// else froze it: each pause and each end takes a moment.
const notPaused = 1

func from(s process.Source) string { return " [" + s.String() + "]" }

// some reports whether a figure is known and not 0.
func some[T int64 | uint64](n *T) bool { return n != nil && *n != 0 }

func cpuRows(row func(name, value string), u process.Usage, now, all *float64) {
	if u.CPU != nil {
		text := fmt.Sprintf("%s (user %s, system %s)", cpuTime(*u.CPU), optional(u.CPUUser, cpuTime), optional(u.CPUSystem, cpuTime))
		row("cpu", text+from(u.CPUSource))
	}
	if now != nil && all != nil {
		row("cpu use", percent(*now)+" % now, "+percent(*all)+" % since the start")
	}
	if some(u.CPUPeriods) {
		row("throttled", fmt.Sprintf("%s, in %s of %d periods", optional(u.CPUThrottled, cpuTime), optional(u.CPUThrottledPeriods, count), *u.CPUPeriods))
	}
}

func memoryRows(row func(name, value string), r process.Run) {
	u := &r.Usage
	if u.Memory != nil {
		row("memory", Size(*u.Memory)+from(u.MemorySource))
	}
	if u.MemoryPeak != nil {
		row("memory peak", Size(*u.MemoryPeak)+from(u.MemoryPeakSource))
	}
	var parts []string
	for _, p := range []struct {
		name  string
		bytes *uint64
	}{{"own", u.MemoryAnon}, {"files", u.MemoryFile}, {"of that shared", u.MemoryShmem}, {"kernel", u.MemoryKernel}} {
		if some(p.bytes) {
			parts = append(parts, p.name+" "+Size(*p.bytes))
		}
	}
	row("memory parts", strings.Join(parts, ", "))
	if some(u.MemorySwap) || some(u.MemorySwapPeak) {
		row("swap", nowAndMost(u.MemorySwap, u.MemorySwapPeak, Size))
	}
	var events []string
	for _, e := range []struct {
		text  string
		times *uint64
	}{{"slowed above memory_high", u.MemoryHighEvents}, {"came to memory_max", u.MemoryMaxEvents}, {"taken below memory_low", u.MemoryLowEvents}} {
		if some(e.times) {
			events = append(events, e.text+" "+times(*e.times))
		}
	}
	row("memory limits", strings.Join(events, ", "))
	switch {
	case r.OOM != nil:
		row("out of memory", screen.Line(r.OOM.String()))
	case some(u.OOMKills): // nothing more is known of them
		row("out of memory", (&process.OOM{Kills: *u.OOMKills}).String())
	}
}

func ioRows(row func(name, value string), u process.Usage) {
	if u.IORead != nil && u.IOWrite != nil {
		text := fmt.Sprintf("read %s, written %s", Size(*u.IORead), Size(*u.IOWrite))
		if u.IOReadOperations != nil && u.IOWriteOperations != nil {
			text = readAndWritten(*u.IORead, *u.IOReadOperations, *u.IOWrite, *u.IOWriteOperations)
		}
		row("io", text+from(u.IOSource))
	}
	for _, d := range u.IODevices {
		row("device "+d.Device, orDash(d.Name)+": "+readAndWritten(d.Read, d.ReadOperations, d.Write, d.WriteOperations))
	}
}

func readAndWritten(read, reads, written, writes uint64) string {
	return fmt.Sprintf("read %s in %d operations, written %s in %d", Size(read), reads, Size(written), writes)
}

// tasks are processes and threads.
func tasks(u process.Usage) string {
	text := nowAndMost(u.Tasks, u.PidsPeak, count)
	if some(u.PidsRefused) {
		text = strings.TrimPrefix(text+fmt.Sprintf(", %d could not be made", *u.PidsRefused), ", ")
	}
	return text
}

// nowAndMost are those of two figures that are known.
func nowAndMost(now, most *uint64, text func(uint64) string) string {
	var parts []string
	if now != nil {
		parts = append(parts, text(*now))
	}
	if most != nil {
		parts = append(parts, "at most "+text(*most))
	}
	return strings.Join(parts, ", ")
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

// stood is how long a tree stood still for want of something; nothing if it did not.
func stood(p *process.Pressure) string {
	if p == nil || p.Some.Total == 0 {
		return ""
	}
	text := "some " + cpuTime(p.Some.Total)
	if p.Full != nil {
		text += ", all " + cpuTime(p.Full.Total)
	}
	if a := p.Some.StallAverages; a != nil && *a != (process.StallAverages{}) {
		text += fmt.Sprintf("; %s, %s, %s %% of the last 10, 60, 300 s", percent(a.Avg10), percent(a.Avg60), percent(a.Avg300))
	}
	return text
}
