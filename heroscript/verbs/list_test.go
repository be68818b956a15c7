package verbs

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// crowd is what can stand in a list, with names and commands of all lengths.
func crowd() []process.Status {
	long, wide, everything := running(), running(), running()
	long.Name = strings.Repeat("long-name-", 12) + "of-128."
	wide.Name, wide.Command = "wide", strings.Repeat("漢字かな🙂", 10)
	everything.Name, everything.State, everything.CPU = "all", process.Scheduled, new(int64(1e15))
	everything.PID, everything.CPUPercent, everything.Pids = 4194304, new(12800.0), new(100000)
	return append(all(), long, wide, everything)
}

func listIn(t *testing.T, width int, all []process.Status) string {
	t.Helper()
	a := RunText(context.Background(), &recorder{all: all}, "!!process.list")
	a.Width = width
	var b strings.Builder
	if err := a.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestListInAWindow(t *testing.T) {
	var b strings.Builder
	for _, width := range []int{160, 120, 100, 80, 60, 40} {
		fmt.Fprintf(&b, "%s %d\n%s\n", strings.Repeat("-", width-4), width, listIn(t, width, all()))
	}
	golden(t, "list_in_windows.txt", b.String())
}

func TestEveryProcessIsOneLineOfTheWindow(t *testing.T) {
	for _, statuses := range [][]process.Status{all(), crowd(), all()[:1], all()[5:]} {
		for width := screen.MinColumns; width < 300; width++ {
			lines := strings.Split(strings.TrimSuffix(listIn(t, width, statuses), "\n"), "\n")
			if len(lines) != 1+len(statuses) {
				t.Fatalf("%d lines in %d columns", len(lines), width)
			}
			for i, line := range lines {
				if screen.Cells(line) > width {
					t.Errorf("%d of %d columns: %s", screen.Cells(line), width, line)
				}
				if i == 0 && !strings.HasPrefix(line, "NAME ") || !strings.Contains(lines[0], " STATUS") {
					t.Errorf("in %d columns: %s", width, lines[0])
				}
				if i > 0 && width >= 60 && !strings.Contains(line, statuses[i-1].State.String()) {
					t.Errorf("in %d columns there is no state: %s", width, line)
				}
			}
		}
	}
}

// Nothing is cut for the sake of room that is there.
func TestListTakesTheRoomThereIs(t *testing.T) {
	whole := listIn(t, 0, all())
	if got := listIn(t, 1000, all()); got != whole {
		t.Errorf("in a wide window:\n%s\nwithout one:\n%s", got, whole)
	}
	width := 0
	for line := range strings.Lines(whole) {
		width = max(width, screen.Cells(strings.TrimSuffix(line, "\n")))
	}
	if got := listIn(t, width, all()); got != whole {
		t.Errorf("in a window that is just wide enough:\n%s", got)
	}
	if got := listIn(t, width-1, all()); strings.Count(got, "\n") != strings.Count(whole, "\n") || got == whole {
		t.Errorf("in one that is not:\n%s", got)
	}
}

// The next time is shown while a run goes on too, and the column if any has one.
func TestListShowsTheNextTimeWhereverThereIsOne(t *testing.T) {
	if got := listIn(t, 0, []process.Status{running()}); !strings.Contains(got, " NEXT ") || !strings.Contains(got, Time(running().NextTime)) {
		t.Errorf("of one that runs:\n%s", got)
	}
	if got := listIn(t, 0, []process.Status{failed()}); strings.Contains(got, "NEXT") {
		t.Errorf("of one without a schedule:\n%s", got)
	}
}
