package verbs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// twoLogs answers for a and bb, which have a log, and for quiet, which has none.
func twoLogs(output string) *recorder {
	m := &recorder{output: []byte(output)}
	for _, name := range []string{"a", "bb", "quiet"} {
		s := running()
		s.Name, s.Log = name, name != "quiet"
		m.all = append(m.all, s)
	}
	return m
}

func written(t *testing.T, m Manager, script string) string {
	t.Helper()
	var b bytes.Buffer
	if err := RunText(t.Context(), m, script).Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSeveralLogsHaveTheirNamesInFront(t *testing.T) {
	m := twoLogs("one\ntwo")
	for script, want := range map[string]string{
		"name:a":                   "one\ntwo",
		"name:a,bb":                "a  | one\na  | two\nbb | one\nbb | two\n",
		"name:b*":                  "bb | one\nbb | two\n",
		"name:'[ab]*' format:json": `{"name":"a","data":"one\ntwo","next":7}` + "\n" + `{"name":"bb","data":"one\ntwo","next":7}` + "\n",
		"name:quiet,a times:true":  "Error: quiet: " + process.LogQuery{Times: true}.WithoutFile().Error() + "\na | one\na | two\n",
		"name:a,bb run:9":          "Error: process 'a' has had no run 9: 8 was the last one\nError: process 'bb' has had no run 9: 8 was the last one\n",
		"name:a,bb run:9 format:json": `{"name":"a","error":"process 'a' has had no run 9: 8 was the last one","code":"invalid"}` + "\n" +
			`{"name":"bb","error":"process 'bb' has had no run 9: 8 was the last one","code":"invalid"}` + "\n",
		"name:nobody*":             "Error: no process matches 'nobody*'\n",
		"name:a,quiet follow:true": "Error: quiet: " + process.LogQuery{Follow: true}.WithoutFile().Error() + "\n",
		"name:a,,bb":               "Error: line 1, column 20: name: nothing stands before or behind a comma in \"a,,bb\"\n",
	} {
		if got := written(t, m, "!!process.log "+script); got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", script, got, want)
		}
	}
}

// A log that breaks off is told at its place, and the others are shown.
func TestALogOfSeveralThatBreaksOffIsTold(t *testing.T) {
	m := twoLogs("half")
	m.logErr = errors.New("it is damaged")
	if got, want := written(t, m, "!!process.log name:a,bb"), "a  | half\nError: a: it is damaged\nbb | half\nError: bb: it is damaged\n"; got != want {
		t.Errorf("%q", got)
	}
	// For somebody who is told of failures apart they are not among the lines.
	var b bytes.Buffer
	failed, err := RunText(t.Context(), m, "!!process.log name:a,bb").Tell(&b)
	if b.String() != "a  | half\nbb | half\n" || err != nil || failed == nil || failed.Error() != "a: it is damaged\nbb: it is damaged" {
		t.Errorf("%q, %v, %v", b.String(), failed, err)
	}
}

// One request does not have the daemon hold any number of logs, nor lines of any length.
func TestSeveralLogsAreBounded(t *testing.T) {
	m := twoLogs("")
	for range maxFollowed {
		m.all = append(m.all, process.Status{Spec: process.Spec{Name: "p" + strings.Repeat("x", len(m.all))}})
	}
	got := written(t, m, "!!process.log name:* follow:true")
	if want := "Error: name: these are 103 processes, and at most 100 logs are followed at once\n"; got != want {
		t.Errorf("%q", got)
	}
	var out bytes.Buffer
	l := &Lines{Mu: new(sync.Mutex), W: &out, Prefix: "a | ", Most: 4}
	for _, piece := range []string{"1234", "\n12345", "678", "9\nx"} {
		l.Write([]byte(piece))
	}
	l.Flush()
	if want := "a | 1234\na | 1234\na | 5678\na | 9\na | x\n"; out.String() != want {
		t.Errorf("%q", out.String())
	}
}

// faulty is a Manager whose log meets a fault of ours.
type faulty struct{ *recorder }

func (faulty) Log(context.Context, string, process.LogQuery, io.Writer) (int64, error) {
	panic("a fault")
}

// A fault in one of several logs that are followed is that of the answer, which has a border.
func TestAFaultInOneLogIsThatOfTheAnswer(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the fault is lost")
		}
	}()
	written(t, faulty{twoLogs("")}, "!!process.log name:a,bb follow:true")
}
