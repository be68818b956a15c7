package proc

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLocksSayWhoHoldsThem(t *testing.T) {
	const text = `1: FLOCK  ADVISORY  WRITE 201 fd:01:1234 0 EOF
2: POSIX  ADVISORY  WRITE 202 fd:01:1234 0 EOF
3: FLOCK  ADVISORY  READ 203 fd:01:1234 0 EOF
3: -> FLOCK  ADVISORY  WRITE 204 fd:01:1234 0 EOF
4: FLOCK  ADVISORY  READ 203 fd:01:1234 0 EOF
5: FLOCK  ADVISORY  WRITE 205 00:1e:1234 0 EOF
6: FLOCK  ADVISORY  WRITE 206 fd:01:12345 0 EOF
7: LEASE  ACTIVE    READ 207 fd:01:1234 0 EOF
8: FLOCK
`
	if got := parseLocks([]byte(text), "fd:01:1234"); !slices.Equal(got, []int{201, 203}) {
		t.Errorf("got %v", got)
	}
}

func TestOurOwnLockIsNotThatOfOthers(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/lock")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if LockedByOthers("/proc", f) {
		t.Error("nobody has locked it")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if LockedByOthers("/proc", f) {
		t.Error("we have locked it")
	}
	if uid, err := realUser("/proc", os.Getpid()); uid != os.Getuid() || err != nil {
		t.Errorf("got %d, %v", uid, err)
	}
}

func TestALockIsFoundOnEveryFileSystem(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/dev/shm"} {
		f, err := os.CreateTemp(dir, "pm-lock-")
		if err != nil {
			t.Log(err)
			continue
		}
		defer os.Remove(f.Name())
		defer f.Close()
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		if pids, err := LockHolders("/proc", f); err != nil || !slices.Equal(pids, []int{os.Getpid()}) {
			t.Errorf("%s: %v, %v", dir, pids, err)
		}
	}
}
