package logs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const smallDisk = "LOGS_TEST_DISK"

// onSmallDisk runs the test again in a mount namespace of its own, with a disk of
// 1 MiB at the directory that it gets.
func onSmallDisk(t *testing.T, test func(t *testing.T, dir string)) {
	if dir := os.Getenv(smallDisk); dir != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("small", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Fatal(err)
		}
		test(t, dir)
		return
	}
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if err := again(t, attr, smallDisk+"="+t.TempDir()); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("no mount namespace: %v", err)
	}
}

// again runs the test once more, in a process of its own, whose environment says so. It
// returns why there can be no such process.
func again(t *testing.T, attr *syscall.SysProcAttr, env string) error {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), env)
	child.SysProcAttr = attr
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		t.Errorf("%v\n%s", err, out)
	case err != nil:
		return err
	case !strings.Contains(string(out), "--- PASS: "+t.Name()+" "):
		t.Errorf("it was not run again:\n%s", out)
	}
	return nil
}

// fill takes all room on the disk, until the file is removed.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(p)
	}
	if !isFull(err) {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not %s in 20 s", what)
		}
	}
}

func TestAFullDiskDropsTheOldestArchivesThenCounts(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string) {
		var reports atomic.Int32
		l := open(t, newMover(t), dir+"/x", Options{MaxSize: 64 << 10, MaxFiles: 1000, Report: func(err error) {
			if !isFull(err) {
				t.Error(err)
			}
			reports.Add(1)
		}})
		f := newFIFO(t)
		p := move(t, l, f, 1)
		n, sent := 0, 0
		say := func(lines int) {
			for range lines {
				s := fmt.Sprintf("line %08d %s\n", n, strings.Repeat("x", 82))
				n++
				sent += len(s)
				f.say(t, "%s", s)
			}
		}
		say(30_000) // 3 MB
		p.Flush()
		got := query(t, l, Query{})
		if bytes, since := l.Dropped(); bytes != 0 || !since.IsZero() || reports.Load() != 0 {
			t.Errorf("%d bytes dropped since %v though there are archives", bytes, since)
		}
		if len(got) < 500<<10 || !strings.HasSuffix(got, fmt.Sprintf("%08d %s\n", n-1, strings.Repeat("x", 82))) {
			t.Errorf("%d bytes are kept, to %q", len(got), got[max(len(got)-100, 0):])
		}
		inOrder(t, got, n)

		p.Flush()
		fills := 0
		until(t, "dropping", func() bool {
			fill(t, fmt.Sprintf("%s/fill%d", dir, fills)) // the archives make room, for a while
			fills++
			say(500)
			bytes, since := l.Dropped()
			return bytes > 0 && !since.IsZero()
		})
		if reports.Load() != 1 {
			t.Errorf("%d reports", reports.Load())
		}
		before, _ := l.Dropped()
		say(10_000) // nobody waits
		until(t, "dropping on", func() bool { bytes, _ := l.Dropped(); return bytes > before })
		for i := range fills {
			os.Remove(fmt.Sprintf("%s/fill%d", dir, i))
		}
		until(t, "writing", func() bool {
			say(1)
			_, since := l.Dropped()
			return since.IsZero()
		})
		say(10)
		p.Finish()
		got = query(t, l, Query{})
		if !strings.HasSuffix(got, fmt.Sprintf("%08d %s\n", n-1, strings.Repeat("x", 82))) {
			t.Errorf("the last line is not there: %q", got[max(len(got)-200, 0):])
		}
		notice := regexp.MustCompile(`(?m)^processmanager: (\d+) bytes of output are missing here: .*no space left on device$`).FindAllStringSubmatch(got, -1)
		if len(notice) != 1 {
			t.Fatalf("%d notices in %d bytes", len(notice), len(got))
		}
		dropped, _ := l.Dropped()
		if notice[0][1] != strconv.FormatUint(dropped, 10) {
			t.Errorf("the notice says %s, Dropped %d", notice[0][1], dropped)
		}
		// What is kept begins somewhere, then misses exactly that many bytes.
		first := 0
		fmt.Sscanf(got, "line %d", &first)
		all := first*97 + len(got) - len(notice[0][0]) - 1 + int(dropped)
		if all != sent && all != sent+1 { // the line before was cut, and ended
			t.Errorf("%d bytes are accounted for of %d", all, sent)
		}
	})
}

// inOrder checks that got ends with line n-1, and has all from its first on.
func inOrder(t *testing.T, got string, n int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	for i, line := range lines {
		if want := fmt.Sprintf("line %08d ", n-len(lines)+i); !strings.HasPrefix(line, want) {
			t.Fatalf("%q instead of %q", line, want)
		}
	}
}

func TestAFullDiskMakesWritersWaitIfAskedTo(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string) {
		var reports atomic.Int32
		l := open(t, newMover(t), dir+"/x", Options{Block: true, Report: func(error) { reports.Add(1) }})
		fill(t, dir+"/fill")
		f := newFIFO(t)
		p := move(t, l, f, 1)
		const lines = 5000
		done := make(chan struct{})
		var want bytes.Buffer
		go func() {
			defer close(done)
			for i := range lines {
				line := fmt.Sprintf("line %08d %s\n", i, strings.Repeat("x", 82))
				want.WriteString(line)
				f.tree.WriteString(line)
			}
		}()
		until(t, "refused", func() bool { return reports.Load() > 0 })
		// Nobody reads from a full pipe: the writer waits, or is about to.
		until(t, "the pipe is full", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return buffered(int(f.tree.Fd())) > p.size-4096
		})
		select {
		case <-done:
			t.Error("nobody waited")
		default:
		}
		if bytes, since := l.Dropped(); bytes != 0 || since.IsZero() {
			t.Errorf("%d bytes dropped, blocked since %v", bytes, since)
		}
		os.Remove(dir + "/fill")
		<-done
		p.Finish()
		if got := query(t, l, Query{}); got != want.String() {
			t.Errorf("%d bytes, not %d", len(got), want.Len())
		}
	})
}

func TestTheNextMoverSaysWhatTheLastOneDropped(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string) {
		f := newFIFO(t)
		m := newMover(t)
		l := open(t, m, dir+"/x", Options{Report: func(error) {}})
		p := move(t, l, f, 1)
		f.say(t, "one\n")
		p.Flush()
		fill(t, dir+"/fill")
		dropped := uint64(0)
		until(t, "dropping", func() bool {
			f.say(t, "%s", strings.Repeat("x", 4095)+"\n")
			p.Flush()
			dropped, _ = l.Dropped()
			return dropped > 10_000
		})
		m.Close()
		os.Remove(dir + "/fill")
		dropped, _ = l.Dropped()
		for range 2 {
			l = open(t, newMover(t), dir+"/x", Options{})
			f.say(t, "more\n")
			move(t, l, f, 1).Finish()
		}
		got := query(t, l, Query{})
		want := fmt.Sprintf("processmanager: %d bytes of output are missing here", dropped)
		if strings.Count(got, want) != 1 || strings.Count(got, "missing") != 1 || !strings.HasSuffix(got, "more\nmore\n") {
			t.Errorf("%q is not in %.300q", want, got)
		}
	})
}

// What has no splice is written from a copy: the FIFO keeps what finds no room.
func TestFullDiskWithoutSpliceLosesNothing(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string) {
		l := open(t, newMover(t), dir+"/x", Options{Block: true, Report: func(error) {}})
		f := newFIFO(t)
		p := move(t, l, f, 1)
		f.say(t, "first\n")
		p.Flush()
		l.mu.Lock()
		l.cur.reads = true
		l.mu.Unlock()
		fill(t, dir+"/fill")
		var want strings.Builder
		want.WriteString("first\n")
		for i := range 500 { // more than the last block has room for
			line := fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 90))
			f.say(t, "%s", line)
			want.WriteString(line)
		}
		p.Flush()
		if err := os.Remove(dir + "/fill"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(retryDelay)
		p.Finish()
		if got := query(t, l, Query{}); got != want.String() {
			t.Errorf("%d bytes, want %d", len(got), want.Len())
		}
	})
}

const limitedFiles = "LOGS_TEST_LIMIT"

// withLimitedFiles runs the test again in a process of its own, in which no file can
// grow beyond so many bytes after limit, until lift. In this process a limit would also
// hold for what the testing package writes.
func withLimitedFiles(t *testing.T, test func(t *testing.T, limit func(most uint64) (lift func()))) {
	if os.Getenv(limitedFiles) == "" {
		if err := again(t, nil, limitedFiles+"=1"); err != nil {
			t.Fatal(err)
		}
		return
	}
	test(t, func(most uint64) (lift func()) {
		var before unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		return func() { unix.Setrlimit(unix.RLIMIT_FSIZE, &before) }
	})
}

// A file that may not grow is followed by the next one, by splice and without, and
// nothing is dropped. Nobody dies of SIGXFSZ.
func TestAFileThatCannotGrowIsFollowedByTheNext(t *testing.T) {
	withLimitedFiles(t, func(t *testing.T, limit func(uint64) func()) {
		for _, splice := range []bool{true, false} {
			dir := t.TempDir() + "/x"
			m := newMover(t)
			m.pack.delay = 0
			l := open(t, m, dir, Options{MaxFiles: 1000})
			f := newFIFO(t)
			p := move(t, l, f, 1)
			f.say(t, "first\n")
			p.Flush()
			want := "first\n"
			lift := limit(20_000)
			for i := range 10 {
				line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", 11_111))
				f.say(t, "%s", line)
				want += line
				l.mu.Lock() // the pump may be moving
				if l.cur != nil {
					l.cur.reads = !splice
				}
				l.mu.Unlock()
				p.Flush()
				if i == 5 { // the next mover finds it as it is
					p.Leave()
					l = open(t, m, dir, Options{MaxFiles: 1000})
					p = move(t, l, f, 1)
				}
			}
			p.Finish()
			lift()
			if got := query(t, l, Query{}); got != want {
				t.Errorf("splice %v: %d bytes, not %d", splice, len(got), len(want))
			}
			if n, _ := l.Dropped(); n != 0 {
				t.Errorf("splice %v: %d bytes were dropped", splice, n)
			}
		}
	})
}

// Where no file may have a byte it is said and counted, as on a full disk, and goes on
// when that is over.
func TestNoFileMayGrowAtAll(t *testing.T) {
	withLimitedFiles(t, func(t *testing.T, limit func(uint64) func()) {
		var reports atomic.Int32
		l := open(t, newMover(t), t.TempDir()+"/x", Options{Report: func(error) { reports.Add(1) }})
		f := newFIFO(t)
		p := move(t, l, f, 1)
		lift := limit(0)
		f.say(t, "lost\n")
		p.Flush()
		if n, since := l.Dropped(); n != 5 || since.IsZero() || l.Trouble() == nil || reports.Load() != 1 {
			t.Errorf("%d bytes dropped, %v, %d reports", n, l.Trouble(), reports.Load())
		}
		lift()
		until(t, "writing again", func() bool { f.say(t, "kept\n"); p.Flush(); return l.Trouble() == nil })
		p.Finish()
		if got := query(t, l, Query{}); !strings.Contains(got, " bytes of output are missing here: ") || !strings.HasSuffix(got, ": file too large\nkept\n") {
			t.Errorf("%q", got)
		}
	})
}

// A disk may have no room for a new file while it has room for bytes: the oldest file
// makes way, also when that is the one which is full.
func TestADiskWithoutRoomForTheNextFile(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string) {
		l := open(t, newMover(t), dir+"/x", Options{MaxSize: 4000})
		f := newFIFO(t)
		p := move(t, l, f, 1)
		f.say(t, "first\n")
		p.Flush()
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "nr_inodes=5"); err != nil {
			t.Fatal(err)
		}
		for i := range 10_000 {
			f.say(t, "line %d\n", i)
		}
		p.Finish()
		if n, _ := l.Dropped(); n != 0 {
			t.Errorf("%d bytes were dropped", n)
		}
		if got := query(t, l, Query{Lines: 2}); got != "line 9998\nline 9999\n" {
			t.Errorf("%q", got)
		}
	})
}
