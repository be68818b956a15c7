package top

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// Style is how text is shown.
type Style uint8

// The styles.
const (
	Plain Style = iota
	Strong
	Heading // of the columns
	Chosen  // the row under the cursor
	Good
	Warn
	Bad
	Faint
)

// Span is text of one style.
type Span struct {
	Text  string
	Style Style
}

// Line is one of the screen. It takes no more cells than that has.
type Line []Span

// Page is what stands on a screen, line by line.
type Page struct {
	Lines  []Line
	Cursor int // where in the last line something is typed; -1: nowhere
}

// The least that a page is made for.
const (
	MinWidth  = 40
	MinHeight = 10
)

// headLines stand above the rows, and one line below.
const headLines = 3

// Page is what stands on a screen of this size at this time.
func (m *Model) Page(width, height int, now time.Time) Page {
	if width < MinWidth || height < MinHeight {
		text := fmt.Sprintf("%d by %d is too small: top needs %d by %d", width, height, MinWidth, MinHeight)
		return Page{Lines: []Line{{{screen.Cut(text, max(width, 0)), Plain}}}, Cursor: -1}
	}
	if room := height - headLines - 1; room != m.room {
		m.room = room
		m.move(m.at, m.follow)
		m.scroll(m.line)
	}
	p := Page{Cursor: -1}
	p.Lines = append(p.Lines, m.summary(width, now), m.totals(width))
	if m.pane == paneList {
		p.Lines = append(p.Lines, m.list(width, now)...)
	} else {
		p.Lines = append(p.Lines, m.text(width)...)
	}
	for len(p.Lines) < height-1 {
		p.Lines = append(p.Lines, nil)
	}
	p.Lines = append(p.Lines, m.foot(width, &p.Cursor))
	return p
}

// summary says how many processes there are, and what time it is.
func (m *Model) summary(width int, now time.Time) Line {
	count := map[process.State]int{}
	for _, r := range m.rows {
		count[r.State]++
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(count)) {
		parts = append(parts, fmt.Sprintf("%d %v", count[state], state))
	}
	what := "processes"
	if len(m.rows) == 1 {
		what = "process"
	}
	text := fmt.Sprintf("%d %s", len(m.rows), what)
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	clock := now.Local().Format(time.TimeOnly)
	room := width - len(clock) - 1
	if whole := m.title + "  " + text; screen.Cells(whole) <= room {
		text = whole
	}
	return Line{{fit(text, room), Strong}, {" " + clock, Plain}}
}

// totals are what all processes use together.
func (m *Model) totals(width int) Line {
	if m.trouble != "" {
		return Line{{screen.Cut(m.trouble, width), Bad}}
	}
	cpu, memory, pids := 0.0, uint64(0), 0
	for _, r := range m.rows {
		if r.CPUPercent != nil {
			cpu += *r.CPUPercent
		}
		if r.Memory != nil {
			memory += *r.Memory
		}
		if r.Pids != nil {
			pids += *r.Pids
		}
	}
	text := fmt.Sprintf("CPU %s %%  memory %s  pids %d", percent(cpu), verbs.Size(memory), pids)
	if m.filter == "" {
		return Line{{screen.Cut(text, width), Plain}}
	}
	filter := fmt.Sprintf("  filter %s: %d", m.filter, len(m.shown))
	text = screen.Cut(text, max(width-screen.Cells(filter), 0))
	return Line{{text, Plain}, {screen.Cut(filter, width-screen.Cells(text)), Warn}}
}

// list is the heading of the columns and the rows.
func (m *Model) list(width int, now time.Time) []Line {
	cols, widths := m.layout(width)
	lines := []Line{m.heading(cols, widths, width)}
	for i := m.first; i < len(m.shown) && i < m.first+m.room; i++ {
		lines = append(lines, m.row(m.shown[i], i == m.at, cols, widths, width, now))
	}
	if len(m.shown) == 0 && m.trouble == "" {
		none := "no processes"
		if m.filter != "" {
			none = "no process has " + m.filter + " in its name, command or status"
		}
		lines = append(lines, Line{{screen.Cut(none, width), Faint}})
	}
	return lines
}

// layout chooses the columns that there is room for, and their widths.
func (m *Model) layout(width int) (cols, widths []int) {
	const least, command = 12, 10
	name := least
	for _, r := range m.shown {
		name = min(max(name, len(r.Name)), max(width/4, least))
	}
	used := name
	shown := map[int]bool{colName: true, colStatus: true, colCPU: true, colMemory: true}
	for c := range shown {
		if c != colName {
			used += 1 + columns[c].width
		}
	}
	if used > width { // the name makes room
		name -= used - width
		used = width
	}
	for _, c := range optionals {
		needs := columns[c].width
		if c == colCommand {
			needs = command
		}
		if used+1+needs > width {
			break
		}
		shown[c] = true
		used += 1 + needs
	}
	rest := width - used
	if !shown[colCommand] {
		name += rest
	}
	for c := range columns {
		switch {
		case !shown[c]:
			continue
		case c == colName:
			widths = append(widths, name)
		case c == colCommand:
			widths = append(widths, command+rest)
		default:
			widths = append(widths, columns[c].width)
		}
		cols = append(cols, c)
	}
	return cols, widths
}

// heading marks the column that the rows are sorted by.
func (m *Model) heading(cols, widths []int, width int) Line {
	var b strings.Builder
	for i, c := range cols {
		title := columns[c].title
		if c == m.sort.column {
			mark := "▲"
			if m.sort.falls() {
				mark = "▼"
			}
			title += mark
		}
		b.WriteString(cell(title, widths[i], columns[c].right, i > 0))
	}
	return Line{{fit(b.String(), width), Heading}}
}

// row is a process.
func (m *Model) row(r *row, chosen bool, cols, widths []int, width int, now time.Time) Line {
	var line Line
	for i, c := range cols {
		text := screen.Line(columns[c].text(r, now))
		if c == colName {
			text = middle(text, widths[i])
		}
		style := Plain
		switch {
		case chosen:
			style = Chosen
		case c == colStatus:
			style = statusStyle(r)
		case r.State.AtRest():
			style = Faint
		}
		text = cell(text, widths[i], columns[c].right, i > 0)
		if n := len(line) - 1; n >= 0 && line[n].Style == style {
			line[n].Text += text
		} else {
			line = append(line, Span{text, style})
		}
	}
	if chosen {
		line[0].Text = fit(line[0].Text, width)
	}
	return line
}

func statusStyle(r *row) Style {
	switch r.State {
	case process.Running:
		return Good
	case process.Failed:
		return Bad
	case process.Backoff, process.Waiting, process.Starting, process.Stopping, process.Paused:
		return Warn
	case process.Scheduled:
		if r.Result == process.Failed {
			return Warn
		}
		return Plain
	}
	return Faint
}

// text is a pane with lines, and a title above it.
func (m *Model) text(width int) []Line {
	title := map[pane]string{paneTree: "tree of " + m.about, paneLog: "log of " + m.about, paneKeys: "keys"}[m.pane]
	lines := []Line{{{fit(title, width), Heading}}}
	for i := m.line; i < len(m.lines) && i < m.line+m.room; i++ {
		text := m.lines[i]
		if m.shift > 0 {
			text = screen.End(text, max(screen.Cells(text)-m.shift, 0))
		}
		lines = append(lines, Line{{screen.Cut(text, width), Plain}})
	}
	return lines
}

// foot is what is asked, typed or said, or the keys.
func (m *Model) foot(width int, cursor *int) Line {
	switch {
	case m.question != nil:
		answers := " y/n"
		if m.question.all {
			answers = " y, a: all its processes, n"
		}
		text := screen.Cut(m.question.text, max(width-len(answers)-1, 0)) + answers
		*cursor = min(screen.Cells(text)+1, width-1)
		return Line{{screen.Cut(text, width-1), Warn}}
	case m.typing != nil:
		label := screen.Cut(m.typing.label, width/2)
		text := screen.End(m.typing.text, width-1-screen.Cells(label))
		*cursor = screen.Cells(label + text)
		return Line{{label, Warn}, {text, Plain}}
	case m.note != "" && m.bad:
		return Line{{screen.Cut(m.note, width-1), Bad}}
	case m.note != "":
		return Line{{screen.Cut(m.note, width-1), Plain}}
	}
	text := "? keys  / filter  t tree  l log  s start  x stop  r restart  K signal  q end"
	if m.pane != paneList {
		text = "q back  ? keys  t tree  l log  s start  x stop  r restart  K signal"
	}
	if m.pane == paneKeys {
		text = "q back"
	}
	return Line{{screen.Cut(text, width-1), Faint}}
}

// cell is the text of one column, behind a gap.
func cell(text string, width int, right, gap bool) string {
	text = screen.Cut(text, width)
	blanks := strings.Repeat(" ", max(width-screen.Cells(text), 0))
	if right {
		text = blanks + text
	} else {
		text += blanks
	}
	if gap {
		text = " " + text
	}
	return text
}

// fit is text that takes just so many cells.
func fit(text string, width int) string { return screen.Pad(screen.Cut(text, width), width) }

// middle cuts a name in its middle: names often differ in their ends.
func middle(name string, width int) string {
	if screen.Cells(name) <= width {
		return name
	}
	end := screen.End(name, width/2)
	return screen.Cut(name, width-screen.Cells(end)) + end
}
