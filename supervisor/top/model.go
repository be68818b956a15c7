package top

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// Model is what is known, and what the person has chosen.
type Model struct {
	title string
	rows  map[string]*row
	shown []*row // those that the filter lets through, in their order

	sort   sorting
	filter string

	chosen string // the process under the cursor
	at     int    // the same, as an index of shown
	follow bool   // the cursor stays on chosen; else on the first row
	first  int    // of shown, on the screen
	room   int    // lines for rows, on the screen

	pane   pane
	behind pane     // what was shown before
	about  string   // the process of a tree or a log
	lines  []string // of it
	line   int      // the first of them on the screen
	end    bool     // the last ones are to be seen
	shift  int      // cells to the left of the screen

	typing   *typing
	question *question
	note     string // the last thing there is to say
	bad      bool   // it is an error
	trouble  string // why the figures are old; empty: they are not
}

// pane is what stands below the heading.
type pane uint8

const (
	paneList pane = iota
	paneTree
	paneLog
	paneKeys
)

// NewModel shows nothing yet.
func NewModel(title string) *Model {
	return &Model{title: screen.Line(title), rows: map[string]*row{}, sort: sorting{column: colCPU}, room: 1}
}

// Replace takes the figures of all processes, as they were at this time.
func (m *Model) Replace(all []process.Figures, now time.Time) {
	m.rows = make(map[string]*row, len(all))
	m.Update(all, now)
}

// Update takes the figures that have changed.
func (m *Model) Update(changed []process.Figures, now time.Time) {
	m.trouble = ""
	for _, f := range changed {
		if f.Gone {
			delete(m.rows, f.Name)
			continue
		}
		r := &row{Figures: f, began: now.Add(-time.Duration(f.Uptime * float64(time.Second)))}
		if before := m.rows[f.Name]; before != nil && before.Run == f.Run { // no jitter in what is counted on
			r.began = before.began
		}
		m.rows[f.Name] = r
	}
	m.arrange()
}

// arrange filters and sorts the rows, and keeps the cursor.
func (m *Model) arrange() {
	m.shown = m.shown[:0]
	want := strings.ToLower(m.filter)
	for _, r := range m.rows {
		if strings.Contains(strings.ToLower(r.Name), want) || strings.Contains(strings.ToLower(r.Command), want) || strings.Contains(r.State.String(), want) {
			m.shown = append(m.shown, r)
		}
	}
	slices.SortFunc(m.shown, m.sort.compare)
	if !m.follow {
		m.move(0, false)
		return
	}
	if i := slices.IndexFunc(m.shown, func(r *row) bool { return r.Name == m.chosen }); i >= 0 {
		m.at = i
	}
	m.move(m.at, true)
}

// move puts the cursor on a row, or on the last one.
func (m *Model) move(at int, follow bool) {
	m.at, m.follow = min(max(at, 0), max(len(m.shown)-1, 0)), follow
	m.chosen = ""
	if m.at < len(m.shown) {
		m.chosen = m.shown[m.at].Name
	}
	m.first = min(max(m.first, m.at-m.room+1), m.at)
	m.first = max(min(m.first, len(m.shown)-m.room), 0)
}

// Say shows what came of something, in the last line.
func (m *Model) Say(format string, args ...any) {
	m.note, m.bad = screen.Line(fmt.Sprintf(format, args...)), false
}

// Fail shows an error there.
func (m *Model) Fail(err error) {
	m.note, m.bad = screen.Line(err.Error()), true
}

// Trouble says that no figures come, until some do.
func (m *Model) Trouble(why string) { m.trouble = screen.Line(why) }

// Wants is the action whose text the pane shows: [ShowTree] or [ShowLog] of a process.
func (m *Model) Wants() Action {
	switch m.pane {
	case paneTree:
		return Action{Do: ShowTree, Name: m.about}
	case paneLog:
		return Action{Do: ShowLog, Name: m.about}
	}
	return Action{}
}

// Show takes the text of a tree or a log that was asked for. One that is not looked at any
// more is dropped.
func (m *Model) Show(of Action, text string) {
	if of != m.Wants() {
		return
	}
	m.lines = m.lines[:0]
	for line := range strings.Lines(text) {
		m.lines = append(m.lines, screen.Line(line))
	}
	m.scroll(m.line)
}

// scroll puts a line of the text first on the screen.
func (m *Model) scroll(to int) {
	last := max(len(m.lines)-m.room, 0)
	if m.end {
		to = last
	}
	m.line = min(max(to, 0), last)
}
