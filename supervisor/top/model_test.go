package top

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// noon is when everything happens.
var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.Local)

// three are a model's processes.
func three() *Model {
	m := NewModel("here")
	m.Replace([]process.Figures{
		{Name: "db", State: process.Running, PID: 10, Run: 1, CPUPercent: new(1.5), Memory: new(uint64(64 << 20)), Pids: new(4), Uptime: 7200, Command: "\n   exec db"},
		{Name: "job", State: process.Failed, Command: "exec job", Restarts: 3},
		{Name: "web", State: process.Running, PID: 20, Run: 2, CPUPercent: new(99.0), Memory: new(uint64(1 << 20)), Pids: new(1), Uptime: 30, Command: "exec web"},
	}, noon)
	return m
}

// presses presses keys, and is what the last of them asks for.
func (m *Model) presses(keys ...Key) (a Action) {
	for _, k := range keys {
		a = m.Press(k)
	}
	return a
}

func keysOf(text string) (keys []Key) {
	for _, r := range text {
		keys = append(keys, Key(r))
	}
	return keys
}

// texts are the lines of a page.
func texts(p Page) (lines []string) {
	for _, l := range p.Lines {
		text := ""
		for _, span := range l {
			text += span.Text
		}
		lines = append(lines, strings.TrimRight(text, " "))
	}
	return lines
}

// names are the rows, in their order, with a star behind the one under the cursor.
func (m *Model) names(t *testing.T) string {
	t.Helper()
	m.Page(80, 24, noon)
	var names []string
	for i, r := range m.shown {
		name := r.Name
		if i == m.at {
			name += "*"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestPage(t *testing.T) {
	m := three()
	got := strings.Join(texts(m.Page(100, 10, noon.Add(30*time.Second))), "\n")
	want := `here  3 processes: 2 running, 1 failed                                                      12:00:30
CPU 100.5 %  memory 65.0 MiB  pids 5
NAME         STATUS        PID  CPU%▼     MEMORY  PIDS  UPTIME  RESTARTS COMMAND
web          running        20   99.0    1.0 MiB     1      1m         - exec web
db           running        10    1.5   64.0 MiB     4   2h00m         - exec db
job          failed          -      -          -     -       -         3 exec job



? keys  / filter  t tree  l log  s start  x stop  r restart  K signal  q end`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	m.title = "processmanager on here"
	got = strings.Join(texts(m.Page(40, 10, noon))[:6], "\n")
	want = `3 processes: 2 running, 1 fail… 12:00:00
CPU 100.5 %  memory 65.0 MiB  pids 5
NAME         STATUS     CPU%▼     MEMORY
web          running     99.0    1.0 MiB
db           running      1.5   64.0 MiB
job          failed         -          -`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSorting(t *testing.T) {
	m := three()
	for _, test := range []struct {
		keys string
		want string
	}{
		{"", "web* db job"}, {"c", "job* db web"}, {"c", "web* db job"}, {"n", "db* job web"}, {"n", "web* job db"},
		{"m", "db* web job"}, {"p", "db* web job"}, {"u", "db* web job"}, {"a", "job* db web"}, {"e", "db* web job"},
		{">", "job* db web"}, {"<<", "web* job db"},
	} {
		m.presses(keysOf(test.keys)...)
		if test.keys == "<<" { // from the pid by the status to the name, once more: it turns
			m.presses('n')
		}
		if got := m.names(t); got != test.want {
			t.Errorf("%q gives %s, want %s", test.keys, got, test.want)
		}
	}
}

// The cursor is on the first row until it is moved, and then on its process.
func TestTheCursorStaysOnItsProcess(t *testing.T) {
	m := three()
	busy := func(name string, percent float64) {
		f := m.rows[name].Figures
		f.CPUPercent = &percent
		m.Update([]process.Figures{f}, noon)
	}
	busy("db", 100)
	if got := m.names(t); got != "db* web job" {
		t.Errorf("not moved yet: %s", got)
	}
	m.presses(Down)
	busy("web", 200)
	if got := m.names(t); got != "web* db job" {
		t.Errorf("on web: %s", got)
	}
	busy("web", 1)
	if got := m.names(t); got != "db web* job" {
		t.Errorf("on web: %s", got)
	}
	m.Update([]process.Figures{{Name: "web", Gone: true}}, noon)
	if got := m.names(t); got != "db job*" {
		t.Errorf("web is gone: %s", got)
	}
	m.presses(Home)
	busy("job", 300)
	if got := m.names(t); got != "job* db" {
		t.Errorf("at the first row again: %s", got)
	}
}

func TestScrolling(t *testing.T) {
	m := NewModel("")
	var all []process.Figures
	for i := range 100 {
		all = append(all, process.Figures{Name: fmt.Sprintf("p%02d", i), State: process.Stopped})
	}
	m.Replace(all, noon)
	const height, room = 24, 20
	for _, test := range []struct {
		keys        []Key
		first, last string
		at          string
	}{
		{nil, "p00", "p19", "p00"},
		{[]Key{Down, 'j', Up, 'k', Up}, "p00", "p19", "p00"},
		{[]Key{PageDown}, "p01", "p20", "p20"},
		{[]Key{PageDown}, "p21", "p40", "p40"},
		{[]Key{PageUp, Up}, "p19", "p38", "p19"},
		{[]Key{End}, "p80", "p99", "p99"},
		{[]Key{Down, PageDown, 'G'}, "p80", "p99", "p99"},
		{[]Key{'g'}, "p00", "p19", "p00"},
	} {
		m.presses(test.keys...)
		rows := texts(m.Page(80, height, noon))[headLines : headLines+room]
		if !strings.HasPrefix(rows[0], test.first) || !strings.HasPrefix(rows[room-1], test.last) || m.chosen != test.at {
			t.Errorf("%v: from %.3s to %.3s, on %s; want %s to %s on %s", test.keys, rows[0], rows[room-1], m.chosen, test.first, test.last, test.at)
		}
	}
	m.presses(End)
	m.Page(80, height, noon)
	if rows := texts(m.Page(80, 50, noon)); !strings.HasPrefix(rows[48], "p99") || !strings.HasPrefix(rows[3], "p54") {
		t.Errorf("a larger window has room at its end: %q", rows)
	}
	if rows := texts(m.Page(80, 10, noon)); !strings.HasPrefix(rows[8], "p99") {
		t.Errorf("in a smaller window the cursor is not seen: %q", rows)
	}
}

func TestFilter(t *testing.T) {
	m := three()
	m.presses(keysOf("/EXEC w")...)
	p := m.Page(80, 24, noon)
	lines := texts(p)
	if m.names(t) != "web*" || !strings.HasSuffix(lines[1], "filter EXEC w: 1") || lines[23] != "filter: EXEC w" || p.Cursor != len("filter: EXEC w") {
		t.Errorf("%s, cursor %d\n%s", m.names(t), p.Cursor, strings.Join(lines, "\n"))
	}
	m.presses(Backspace, Backspace, Backspace, Backspace, Backspace, Backspace, Backspace)
	m.presses(keysOf("failed\r")...)
	if got := m.names(t); got != "job*" {
		t.Errorf("failed ones: %s", got)
	}
	m.presses(keysOf("/zzz")...)
	if a := m.presses(Enter, 'x'); a.Do != Nothing || m.question != nil {
		t.Errorf("a question about nothing: %+v", a)
	}
	if lines := texts(m.Page(80, 24, noon)); !strings.Contains(lines[3], "no process has failedzzz in its name") {
		t.Errorf("%q", lines[3])
	}
	m.presses(Escape)
	if got := m.names(t); got != "web* db job" {
		t.Errorf("without a filter: %s", got)
	}
	m.presses(keysOf("/w")...)
	m.presses(Escape)
	if m.filter != "" {
		t.Errorf("Esc leaves %q", m.filter)
	}
}

// A question names its process, and is about that one whatever comes before its answer.
func TestNothingIsDoneWithoutAnAnswer(t *testing.T) {
	for key, test := range map[string]struct {
		question string
		want     Action
	}{
		"s":       {"start web? y/n", Action{Do: Start, Name: "web"}},
		"x":       {"stop web and all its processes? y/n", Action{Do: Stop, Name: "web"}},
		"r":       {"restart web? y/n", Action{Do: Restart, Name: "web"}},
		"Kusr1\r": {"send SIGUSR1 to the main process of web? y, a: all its processes, n", Action{Do: SendSignal, Name: "web", Signal: 10}},
		"K\r":     {"send SIGTERM to the main process of web? y, a: all its processes, n", Action{Do: SendSignal, Name: "web", Signal: 15}},
	} {
		for _, answer := range []Key{'y', 'Y', 'n', 'a', Enter, Escape, 'q', Up} {
			m := three()
			if a := m.presses(keysOf(key)...); a.Do != Nothing {
				t.Errorf("%q alone does %+v", key, a)
			}
			if lines := texts(m.Page(80, 24, noon)); lines[23] != test.question {
				t.Errorf("%q asks %q, want %q", key, lines[23], test.question)
			}
			m.Update([]process.Figures{{Name: "web", Gone: true}}, noon)
			want := Action{}
			switch {
			case answer == 'y' || answer == 'Y':
				want = test.want
			case answer == 'a' && test.want.Do == SendSignal:
				want = test.want
				want.Tree = true
			}
			if a := m.Press(answer); a != want || m.question != nil {
				t.Errorf("%q and %q: %+v, want %+v", key, answer, a, want)
			}
		}
	}
	m := three()
	m.presses(keysOf("Kfoo\r")...)
	if m.question != nil || !m.bad || !strings.Contains(m.note, "foo") {
		t.Errorf("a signal that is none: %q", m.note)
	}
}

func TestWhatEndsIt(t *testing.T) {
	for keys, want := range map[string]Do{
		"q": Quit, "\x03": Quit, "x\x03": Quit, "/\x03": Quit, "?\x03": Quit, "lq": Nothing, "/q": Nothing, "\x1a": Suspend, "x\x1a": Suspend, "\x0c": Repaint,
	} {
		if a := three().presses(keysOf(keys)...); a.Do != want {
			t.Errorf("%q does %v, want %v", keys, a.Do, want)
		}
	}
}

// The text below is that which was asked for last, stays where it is looked at, and follows its
// end.
func TestTexts(t *testing.T) {
	m := three()
	m.Page(80, 24, noon)
	lines := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "line %d\n", i)
		}
		return b.String()
	}
	log := m.presses('l')
	if log != (Action{Do: ShowLog, Name: "web"}) || log != m.Wants() {
		t.Errorf("l asks for %+v", log)
	}
	m.Show(log, lines(100))
	shown := func() (first, last string) {
		rows := texts(m.Page(80, 24, noon))
		return rows[3], rows[22]
	}
	check := func(what, first, last string) {
		t.Helper()
		if f, l := shown(); f != first || l != last {
			t.Errorf("%s: from %q to %q, want %q to %q", what, f, l, first, last)
		}
	}
	check("the end", "line 80", "line 99")
	m.Show(log, lines(101))
	check("the end moves", "line 81", "line 100")
	m.presses(Up)
	m.Show(log, lines(150))
	check("not the end", "line 80", "line 99")
	m.presses(Right)
	check("shifted", "", "")
	m.presses(Left, End)
	m.Show(log, lines(151))
	check("the end again", "line 131", "line 150")
	m.presses('g')
	check("the beginning", "line 0", "line 19")

	tree := m.presses('t')
	m.Show(log, "late")
	check("another text was asked for", "", "")
	m.Show(tree, "a \x1b[2J tree\n")
	check("the tree", `a \x1b[2J tree`, "")
	m.presses('x')
	if rows := texts(m.Page(80, 24, noon)); rows[23] != "stop web and all its processes? y/n" {
		t.Errorf("from a tree: %q", rows[23])
	}
	m.presses('n', 'q')
	if m.Wants().Do != Nothing {
		t.Errorf("nobody looks, and it wants %+v", m.Wants())
	}
	m.Show(tree, "late")
	if rows := texts(m.Page(80, 24, noon)); !strings.HasPrefix(rows[3], "web") {
		t.Errorf("back in the list: %q", rows[3])
	}
}

// The keys are shown over whatever stands there, and that comes back; on a usual screen nothing
// of them is cut.
func TestKeysAreShownFromEverywhere(t *testing.T) {
	for opened, want := range map[string]Action{"": {}, "t": {Do: ShowTree, Name: "web"}, "l": {Do: ShowLog, Name: "web"}} {
		for _, shut := range []Key{'q', '?', 'h', Escape, Backspace} {
			m := three()
			m.presses(keysOf(opened)...)
			m.Press('?')
			if lines := texts(m.Page(80, 24, noon)); lines[2] != "keys" || !strings.HasPrefix(lines[3], "up down") || m.Wants() != (Action{}) {
				t.Errorf("? after %q shows %q", opened, lines[2:4])
			}
			if a := m.presses('x'); a.Do != Nothing || m.question != nil {
				t.Errorf("a question that nobody sees the process of: %+v", m.question)
			}
			if a := m.Press(shut); a != want || m.Wants() != want {
				t.Errorf("%q, ? and %q: %+v, it wants %+v, and not %+v", opened, shut, a, m.Wants(), want)
			}
			m.Press('q')
			if lines := texts(m.Page(80, 24, noon)); opened != "" && !strings.HasPrefix(lines[3], "web") {
				t.Errorf("q after %q gives no list: %q", opened, lines[3])
			}
		}
	}
	for _, line := range keyLines() {
		if screen.Cells(line) > 80 {
			t.Errorf("this line does not fit a usual screen: %q", line)
		}
	}
	if n := len(keyLines()); n > 24-headLines-1 {
		t.Errorf("%d keys do not fit a usual screen", n)
	}
}

func TestUptimeIsCountedOn(t *testing.T) {
	m := three()
	for after, want := range map[time.Duration]string{0: "30s", 29 * time.Second: "59s", 31 * time.Second: "1m", 2 * time.Hour: "2h00m", 50 * time.Hour: "2d02h", 2000 * 24 * time.Hour: "2000d", -time.Hour: "0s"} {
		if got := columns[colUptime].text(m.rows["web"], noon.Add(after)); got != want {
			t.Errorf("after %v it is %s, want %s", after, got, want)
		}
	}
	f := m.rows["web"].Figures
	f.Uptime = 33 // told 2 s later
	m.Update([]process.Figures{f}, noon.Add(2*time.Second))
	if got := m.rows["web"].began; !got.Equal(noon.Add(-30 * time.Second)) {
		t.Errorf("it began at %v", got)
	}
}

// Whatever is pressed and told, a page fits its screen, and holds nothing that a terminal acts
// on.
func FuzzPages(f *testing.F) {
	f.Add(uint64(1), "ljkxyK\r/\x1b?", "日本語\x1b[2J\u202e\xff🙂e\u0301", 80, 24)
	f.Add(uint64(2), "/日本\x7f<<>>t  \x0d", "\u200d\ufeff\U000e0001👩‍👩‍👧", 40, 10)
	f.Fuzz(func(t *testing.T, seed uint64, pressed, text string, width, height int) {
		width, height = min(max(width, -1), 300), min(max(height, -1), 100)
		r := rand.New(rand.NewPCG(seed, 0))
		m := NewModel(text)
		for _, c := range pressed {
			k := Key(c)
			if r.IntN(4) == 0 {
				k = -Key(r.IntN(9))
			}
			a := m.Press(k)
			m.Show(a, text+"\n"+text)
			f := process.Figures{Name: fmt.Sprintf("p%d", r.IntN(60)), State: process.State(1 + r.IntN(10)), Run: uint64(r.IntN(3)), Command: text, Uptime: r.Float64() * 1e6, Gone: r.IntN(5) == 0}
			if r.IntN(2) == 0 {
				f.CPUPercent, f.Memory, f.Pids = new(r.Float64()*1e5), new(r.Uint64()), new(r.IntN(1e6))
			}
			switch r.IntN(4) {
			case 0:
				m.Fail(fmt.Errorf("%s", text))
			case 1:
				m.Trouble(text)
			default:
				m.Update([]process.Figures{f}, noon)
			}
			p := m.Page(width, height, noon)
			if len(p.Lines) > max(height, 1) || p.Cursor >= max(width, 1) {
				t.Fatalf("%d lines of %d, cursor %d of %d", len(p.Lines), height, p.Cursor, width)
			}
			for _, line := range texts(p) {
				if screen.Cells(line) > max(width, 0) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsGraphic(r) }) {
					t.Fatalf("on %d columns: %q", width, line)
				}
			}
		}
	})
}
