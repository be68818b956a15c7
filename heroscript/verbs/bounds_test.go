package verbs

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// mebibyte is what the wire takes at most.
const mebibyte = 1 << 20

// hugeScripts are scripts of a MiB in which something is as large as it can be.
func hugeScripts() map[string]string {
	long := strings.Repeat("x", mebibyte)
	words := strings.Repeat("a ", mebibyte/2)
	scripts := map[string]string{
		"a verb":               "!!" + long,
		"a verb behind a dot":  "!!process." + long,
		"an actor":             "!!" + long + ".start",
		"a key":                "!!process.list " + long + ":x",
		"a flag":               "!!process.list " + long,
		"many flags":           "!!process.list " + words,
		"many keys":            "!!process.list " + strings.Repeat("a: ", mebibyte/3),
		"many quotes":          "!!process.list " + strings.Repeat("a:'' ", mebibyte/5),
		"help of a word":       "!!help " + long,
		"help of many":         "!!help " + words,
		"helpless":             "!!help" + long,
		"stray text":           long,
		"an open quote":        "!!process.start name:'" + long,
		"backslashes":          "!!process.start name:x command:'" + strings.Repeat(`\\`, mebibyte/2) + "'",
		"a comment":            "!!process.list // " + long,
		"many comments":        "!!process.list\n" + strings.Repeat(" //\n", mebibyte/4),
		"many lines":           "!!process.list" + strings.Repeat("\n ", mebibyte/2) + "x",
		"not UTF-8":            "!!process.list x:" + strings.Repeat("\xff", mebibyte),
		"not UTF-8 at the end": "!!process.list x:" + long + "\xff",
		"NUL at the end":       "!!process.list x:" + long + "\x00",
		"control bytes":        "!!" + strings.Repeat("\x01", mebibyte),
	}
	for _, v := range All() {
		for _, p := range v.AllParams() {
			const size = 200 << 10 // above every bound
			for what, value := range map[string]string{"": long[:size], " of digits": strings.Repeat("1", size), " of control bytes": strings.Repeat("\x01", size)} {
				a := NewAction(v.Name, p.Name, value)
				if v.Takes("name") && p.Name != "name" {
					a.Params = append([]heroscript.Param{{Key: "name", Value: "x"}}, a.Params...)
				}
				scripts[v.Name+" "+p.Name+what] = heroscript.Format(heroscript.Script{a})
			}
		}
	}
	return scripts
}

// allocated is how many bytes f allocates.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// Nothing that a script of the largest size can say costs more than a few times as much
// memory, and its answer does not give it back.
func TestNothingInAScriptCostsMuchMemory(t *testing.T) {
	m := &recorder{}
	for what, script := range hugeScripts() {
		for _, format := range []string{"", "format:json "} {
			verb, rest, found := strings.Cut(script, " ")
			if found && format != "" {
				script = verb + " " + format + rest
			}
			var out bytes.Buffer
			var err error
			const most = 8 * mebibyte
			if n := allocated(func() { err = RunText(context.Background(), m, script).Write(&out) }); n > most || err != nil {
				t.Errorf("%s: %d KiB allocated, %v", what, n>>10, err)
			}
			if out.Len() > 8<<10 {
				t.Errorf("%s: the answer has %d bytes: %.200s…", what, out.Len(), out.String())
			}
			if n := allocated(func() { Refuse(script, "too_long", "") }); n > most {
				t.Errorf("%s: %d KiB allocated to refuse it", what, n>>10)
			}
		}
	}
	for _, asked := range m.asked {
		if asked != "show " && !strings.HasPrefix(asked, `apply "-" `) { // with comments and lines; a text of which the manager judges
			t.Errorf("carried out: %.200q", asked)
		}
	}
}

func TestExpressionsThatCostMuchAreRefused(t *testing.T) {
	for _, expr := range []string{
		"x{1000}{3}", "(x{100}){100}", "((x{10}){10}){100}", "(a|b|c){900}", strings.Repeat("x{1000}", 100),
		`(\pL{500}){2}`, "(x{0,1000}){0,3}", "((x*){1000}y){5}", strings.Repeat("a", process.MaxGrep+1),
	} {
		n := allocated(func() {
			if _, err := process.CompileGrep(expr); err == nil {
				t.Errorf("%.60s is taken", expr)
			}
		})
		if n > mebibyte {
			t.Errorf("%.60s: %d KiB to refuse it", expr, n>>10)
		}
	}
	for _, expr := range []string{"x", "error|warning", `^\d{4}-\d\d-\d\d .*timeout [0-9]{1,5}ms$`, `(?i)[\pL\pN_]{1,64}@`, strings.Repeat("a", process.MaxGrep)} {
		n := allocated(func() {
			if _, err := process.CompileGrep(expr); err != nil {
				t.Error(err)
			}
		})
		if n > 4*mebibyte {
			t.Errorf("%.60s: %d KiB", expr, n>>10)
		}
	}
}

// A list is written a process at a time.
func TestALongListCostsNoMoreThanItsLongestCommand(t *testing.T) {
	m := &recorder{}
	for i := range 200 {
		m.all = append(m.all, process.NewStatus(process.Spec{Name: fmt.Sprint("x", i), Command: strings.Repeat("\x01", 100<<10)}, process.Stopped))
	}
	var w largest
	a := RunText(context.Background(), m, "!!process.list format:json")
	if err := a.Write(&w); err != nil || w.all < 200*600<<10 || w.most > mebibyte {
		t.Errorf("%d bytes in pieces of at most %d, %v", w.all, w.most, err)
	}
}

// largest counts what is written to it.
type largest struct{ most, all int }

func (l *largest) Write(p []byte) (int, error) {
	l.most, l.all = max(l.most, len(p)), l.all+len(p)
	return len(p), nil
}

// A piece of a log is written in small steps, and as it was written in one.
func TestPiecesOfALogAreWrittenInSmallSteps(t *testing.T) {
	for _, data := range []string{"", "one\n", strings.Repeat("<&\x01é漢🙂\u2028\"\\\n", 60_000), strings.Repeat("\xff\x00", 500_000), "\ufffd", strings.Repeat("\xe6\xbc\xa2", 5000)} {
		for _, next := range []int64{0, 7} {
			var w largest
			var got, want bytes.Buffer
			if err := writeBytes(&w, "web", []byte(data), next, math.MaxInt); err != nil || w.most > 64<<10 {
				t.Errorf("%.20q: %d at once, %v", data, w.most, err)
			}
			writeBytes(&got, "web", []byte(data), next, math.MaxInt)
			b := Bytes{Name: "web", Data: data, Next: next}
			if strings.Contains(data, "\xff") {
				b = Bytes{Name: "web", Data: base64.StdEncoding.EncodeToString([]byte(data)), Encoding: "base64", Next: next}
			}
			writeJSON(&want, b)
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Errorf("%.20q: got %.100s, want %.100s", data, got.String(), want.String())
			}
		}
	}
}
