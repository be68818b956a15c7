package top

import (
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// Key is a character that was typed, or a key without one.
type Key rune

// Keys without a character, and those that have a name.
const (
	Up Key = -1 - iota
	Down
	Left
	Right
	PageUp
	PageDown
	Home
	End

	CtrlC     Key = 0x03
	CtrlL     Key = 0x0c
	CtrlZ     Key = 0x1a
	Enter     Key = '\r'
	Escape    Key = 0x1b
	Backspace Key = 0x7f
)

// Action is what is to be done.
type Action struct {
	Do     Do
	Name   string         // of the process
	Signal process.Signal // of SendSignal
	Tree   bool           // of SendSignal: to all its processes
}

// Do is a kind of action.
type Do uint8

// The kinds.
const (
	Nothing Do = iota
	Quit
	Suspend
	Repaint // the terminal may show something else
	ShowTree
	ShowLog
	Start
	Stop
	Restart
	SendSignal
)

// question waits for its answer.
type question struct {
	text string
	yes  Action
	all  bool // "a" is an answer too: to all its processes
}

// typing is a line that is being typed.
type typing struct {
	label string
	text  string
	enter func(m *Model, text string)
	each  func(m *Model, text string) // with each key; nil: nothing
}

// maxTyped is how many bytes a line may have.
const maxTyped = 128

// Press takes a key.
func (m *Model) Press(k Key) Action {
	m.note = ""
	switch {
	case k == CtrlC:
		return Action{Do: Quit}
	case k == CtrlL:
		return Action{Do: Repaint}
	case k == CtrlZ:
		return Action{Do: Suspend}
	case m.question != nil:
		return m.answer(k)
	case m.typing != nil:
		m.typed(k)
		return Action{}
	case m.pane != paneList:
		return m.pressInText(k)
	}
	return m.pressInList(k)
}

func (m *Model) answer(k Key) Action {
	q := m.question
	m.question = nil
	switch {
	case k == 'y' || k == 'Y':
		return q.yes
	case q.all && (k == 'a' || k == 'A'):
		q.yes.Tree = true
		return q.yes
	}
	m.Say("nothing was done")
	return Action{}
}

func (m *Model) typed(k Key) {
	t := m.typing
	switch {
	case k == Enter:
		m.typing = nil
		t.enter(m, t.text)
		return
	case k == Escape:
		m.typing, t.text = nil, ""
	case k == Backspace && t.text != "":
		runes := []rune(t.text)
		t.text = string(runes[:len(runes)-1])
	case k >= ' ' && k != Backspace && len(t.text) < maxTyped && screen.Line(string(k)) == string(k):
		t.text += string(k)
	default:
		return
	}
	if t.each != nil {
		t.each(m, t.text)
	}
}

func (m *Model) pressInList(k Key) Action {
	switch k {
	case 'q':
		return Action{Do: Quit}
	case Up, 'k':
		m.move(m.at-1, true)
	case Down, 'j':
		m.move(m.at+1, true)
	case PageUp:
		m.move(m.at-m.room, true)
	case PageDown:
		m.move(m.at+m.room, true)
	case Home, 'g':
		m.move(0, false)
	case End, 'G':
		m.move(len(m.shown)-1, true)
	case '<', Left:
		m.sortBy((m.sort.column + len(columns) - 1) % len(columns))
	case '>', Right:
		m.sortBy((m.sort.column + 1) % len(columns))
	case '?', 'h':
		m.open(paneKeys, "")
	case '/':
		m.typing = &typing{label: "filter: ", text: m.filter, enter: func(*Model, string) {}, each: func(m *Model, text string) {
			m.filter = text
			m.arrange()
		}}
	case Escape:
		m.filter = ""
		m.arrange()
	case 't', Enter, 'l', 's', 'x', 'r', 'K':
		if m.chosen == "" {
			m.Say("there is no process under the cursor")
			return Action{}
		}
		return m.act(k, m.chosen)
	default:
		for i, c := range columns {
			if k == c.key {
				m.sortBy(i)
			}
		}
	}
	return Action{}
}

// act is a key about a process.
func (m *Model) act(k Key, name string) Action {
	switch k {
	case 't', Enter:
		m.open(paneTree, name)
		return m.Wants()
	case 'l':
		m.open(paneLog, name)
		m.end = true
		return m.Wants()
	case 's':
		m.ask("start "+name, Action{Do: Start, Name: name})
	case 'x':
		m.ask("stop "+name+" and all its processes", Action{Do: Stop, Name: name})
	case 'r':
		m.ask("restart "+name, Action{Do: Restart, Name: name})
	case 'K':
		m.typing = &typing{label: "signal for " + name + " (TERM): ", enter: func(m *Model, text string) { m.signal(name, text) }}
	}
	return Action{}
}

// signal has a signal that was typed asked about.
func (m *Model) signal(name, text string) {
	if text = strings.TrimSpace(text); text == "" {
		text = "TERM"
	}
	signal, err := process.ParseSignal(text)
	if err != nil {
		m.Fail(err)
		return
	}
	m.ask("send SIG"+signal.String()+" to the main process of "+name, Action{Do: SendSignal, Name: name, Signal: signal})
	m.question.all = true
}

func (m *Model) ask(what string, yes Action) { m.question = &question{text: what + "?", yes: yes} }

// open shows a pane. The keys have the one that they were asked for in behind them.
func (m *Model) open(p pane, about string) {
	m.behind = m.pane
	m.pane, m.about, m.lines, m.line, m.shift, m.end = p, about, nil, 0, 0, false
	if p == paneKeys {
		m.lines = keyLines()
	}
}

// back closes a pane.
func (m *Model) back() Action {
	if m.pane == paneKeys && m.behind != paneList {
		m.open(m.behind, m.about)
		m.end = m.pane == paneLog
		return m.Wants()
	}
	m.open(paneList, "")
	return Action{}
}

func (m *Model) sortBy(column int) {
	if m.sort.column == column {
		m.sort.turned = !m.sort.turned
	} else {
		m.sort = sorting{column: column}
	}
	m.arrange()
}

// shiftBy is how far Left and Right go.
const shiftBy = 20

func (m *Model) pressInText(k Key) Action {
	m.end = false
	switch k {
	case 'q', Escape, Backspace:
		return m.back()
	case '?', 'h':
		if m.pane == paneKeys {
			return m.back()
		}
		m.open(paneKeys, m.about)
	case Up, 'k':
		m.scroll(m.line - 1)
	case Down, 'j':
		m.scroll(m.line + 1)
	case PageUp:
		m.scroll(m.line - m.room)
	case PageDown, ' ':
		m.scroll(m.line + m.room)
	case Home, 'g':
		m.scroll(0)
	case End, 'G':
		m.end = true
		m.scroll(0)
	case Left:
		m.shift = max(m.shift-shiftBy, 0)
	case Right:
		m.shift += shiftBy
	case 't', 'l', 's', 'x', 'r', 'K':
		if m.pane != paneKeys {
			return m.act(k, m.about)
		}
	}
	if m.pane == paneLog && m.line >= len(m.lines)-m.room { // at the end it stays there
		m.end = true
	}
	return Action{}
}

// keyLines are the keys, for people.
func keyLines() []string {
	return []string{
		"up down j k    move",
		"PgUp PgDn      move by a screen",
		"Home End g G   to the first, the last",
		"/              filter by name, command or status; Esc takes it away",
		"n e c m        sort by name, status, CPU, memory;",
		"p u a          by pids, uptime, restarts;",
		"               the same key again turns the order",
		"< >            sort by the column beside",
		"left right     the same; in a tree or a log: for long lines",
		"t Enter        the tree of the process",
		"l              its last log lines",
		"s x r          start, stop, restart it",
		"K              send it a signal",
		"Ctrl-L         paint all again",
		"Ctrl-Z         stand still in the background, until fg",
		"q              end; in a tree, a log or here: back",
		"Ctrl-C         end",
	}
}
