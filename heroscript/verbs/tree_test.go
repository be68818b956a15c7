package verbs

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

var aTree = process.Tree{Name: "web", State: process.Running, Runs: []process.RunTree{
	{Run: 3, State: process.Running, PID: 10, Processes: []process.KernelProcess{
		{PID: 10, ParentPID: 5, Main: true, State: process.KernelSleeping, Age: 120, CPU: 1_250_000, RSS: 3 << 20, Threads: 1, Command: "sh -c a\nb\x1b[31m"},
		{PID: 12, ParentPID: 10, Under: 10, Level: 1, State: process.KernelRunning, Age: 60, CPU: 10_000, RSS: 1 << 20, Threads: 9, Command: "server"},
		{PID: 13, ParentPID: 12, Under: 12, Level: 2, State: process.KernelZombie, Age: 3, Threads: 1, Command: "[true]"},
		{PID: 14, ParentPID: 5, Under: 10, Level: 1, Reparented: true, State: process.KernelDisk, Age: 7200, Threads: 1, Command: "daemon"},
		{PID: 15, ParentPID: 14, Under: 14, Level: 2, State: process.KernelSleeping, Age: 3, Threads: 1, Command: "helper"},
		{PID: 16, ParentPID: 5, Reparented: true, State: process.KernelSleeping, Age: 3, Threads: 1, Command: "away"},
		{PID: 17, ParentPID: 4, State: process.KernelSleeping, Age: 3, Threads: 1, Command: "moved"},
		{PID: 18, State: process.KernelSleeping, Age: 3, Threads: 1, Command: "other"},
	}},
}}

func asText(t *testing.T, m Manager, script string, width int) (string, error) {
	t.Helper()
	var b strings.Builder
	answer := RunText(context.Background(), m, script)
	answer.Width = width
	if err := answer.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String(), answer.Err
}

func TestTreeDrawsKernelProcesses(t *testing.T) {
	m := &recorder{trees: []process.Tree{aTree}}
	got, err := asText(t, m, "!!process.tree name:web", 0)
	want := `process 'web', run 3, running: 8 kernel processes
PID  AGE    CPU TIME  RSS      STATE            COMMAND
10   2m00s  1.250s    3.0 MiB  sleeping         sh -c a; b\x1b[31m
12   1m00s  0.010s    1.0 MiB  running          ├─ server
13   3s     0.000s    0 B      zombie           │  └─ [true]
14   2h00m  0.000s    0 B      uninterruptible  └─ (reparented) daemon
15   3s     0.000s    0 B      sleeping            └─ helper
16   3s     0.000s    0 B      sleeping         (reparented) away
17   3s     0.000s    0 B      sleeping         (child of 4) moved
18   3s     0.000s    0 B      sleeping         (child of another) other
`
	if err != nil || got != want {
		t.Errorf("%v, got\n%swant\n%s", err, got, want)
	}
	for _, width := range []int{20, 40, 60, 80, 200} {
		got, _ := asText(t, m, "!!process.tree name:web", width)
		for line := range strings.Lines(strings.SplitAfterN(got, "\n", 2)[1]) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > width {
				t.Errorf("%d columns are needed in a window of %d: %s", n, width, line)
			}
		}
		if !strings.Contains(got, "10 ") || !strings.Contains(got, "sh") {
			t.Errorf("in a window of %d:\n%s", width, got)
		}
	}
}

func TestTreeIsAnObjectOrAnArray(t *testing.T) {
	rest := process.Tree{Name: "job", State: process.Completed, Runs: []process.RunTree{}}
	m := &recorder{trees: []process.Tree{aTree}}
	text, err := asText(t, m, "!!process.tree name:web format:json", 0)
	var one process.Tree
	if err := errors.Join(err, json.Unmarshal([]byte(text), &one)); err != nil || !reflect.DeepEqual(one, aTree) {
		t.Errorf("%v, %+v", err, one)
	}
	m.trees = []process.Tree{aTree, rest, {Name: "gone", Err: process.Errorf(process.CodeNotFound, "no process 'gone'")}}
	text, err = asText(t, m, "!!process.tree name:web,job,gone format:json", 0)
	var all []process.Tree
	if err := errors.Join(err, json.Unmarshal([]byte(text), &all)); err != nil || !reflect.DeepEqual(all, m.trees) {
		t.Errorf("%v, %+v", err, all)
	}
	text, err = asText(t, m, "!!process.tree name:web,job,gone", 0)
	if err != nil || !strings.HasSuffix(text, "\n\nprocess 'job' is completed: nothing of it runs\nError: no process 'gone'\n") {
		t.Errorf("%v, %s", err, text)
	}
	m.trees = m.trees[2:]
	if _, err = asText(t, m, "!!process.tree name:gone", 0); !errors.Is(err, process.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// A tree as deep as a tree can be is drawn, and costs no line of thousands of blanks.
func TestADeepTreeIsDrawn(t *testing.T) {
	deep := process.Tree{Name: "web", State: process.Running, Runs: []process.RunTree{{Run: 1, State: process.Running, PID: 1}}}
	for i := range 20_000 {
		deep.Runs[0].Processes = append(deep.Runs[0].Processes, process.KernelProcess{PID: i + 1, ParentPID: i, Under: i, Level: i, Command: "x"})
	}
	m := &recorder{trees: []process.Tree{deep}}
	text, err := asText(t, m, "!!process.tree name:web", 0)
	if err != nil || len(text) > 20_000*200 || strings.Count(text, "\n") != 20_002 {
		t.Errorf("%v, %d bytes", err, len(text))
	}
	var again process.Tree
	text, err = asText(t, m, "!!process.tree name:web format:json", 0)
	if err := errors.Join(err, json.Unmarshal([]byte(text), &again)); err != nil || len(again.Runs[0].Processes) != 20_000 {
		t.Errorf("%v", err)
	}
}
