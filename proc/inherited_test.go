package proc

import (
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSocketsAreThoseThatWereMeantForThisProcess(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		pid, n string
		want   []int
	}{
		{own, "1", []int{3}},
		{own, "3", []int{3, 4, 5}},
		{own, "0", nil},
		{own, "-1", nil},
		{own, "", nil},
		{own, "x", nil},
		{own, "99999999999", nil},
		{own, "1000000000", nil},
		{"1", "2", nil}, // of the one that has started this one
		{"", "2", nil},
	} {
		env := map[string]string{"LISTEN_PID": c.pid, "LISTEN_FDS": c.n}
		if got := Sockets(func(name string) string { return env[name] }); !slices.Equal(got, c.want) {
			t.Errorf("LISTEN_PID=%s LISTEN_FDS=%s: got %v, want %v", c.pid, c.n, got, c.want)
		}
	}
}

// Also where there is no descriptor left to look with.
func TestWhatIsInheritedIsToldFromWhatIsOurs(t *testing.T) {
	ours, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	came, err := unix.FcntlInt(ours.Fd(), unix.F_DUPFD, 3) // not closed on exec, as what came through one
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(came)
	listed, err := inheritedFiles()
	if err != nil {
		t.Fatal(err)
	}
	for how, files := range map[string]map[int]bool{"listed": listed, "tried": inheritedBelow(came + 1)} {
		if !files[came] || files[int(ours.Fd())] || files[0] || files[1] || files[2] {
			t.Errorf("%s: %v, %d came from elsewhere, %d is ours", how, files, came, ours.Fd())
		}
	}
}
