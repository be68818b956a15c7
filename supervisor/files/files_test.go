package files

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func id(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestWhatHasNotChangedIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/x"
	put := func(data string) {
		t.Helper()
		if err := Put(path, []byte(data)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != data {
			t.Fatalf("%q, %v", got, err)
		}
	}
	put("one")
	first := id(t, path)
	put("one")
	if id(t, path) != first {
		t.Error("it was written again")
	}
	for _, data := range []string{"two", "one and more", "", "one"} { // shorter, longer, as it was
		before := id(t, path)
		put(data)
		if id(t, path) == before {
			t.Errorf("%q was written into the former file", data)
		}
	}
	if info, _ := os.Stat(path); info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

// What others put in the place is neither followed nor waited for.
func TestALinkOrAFIFOIsReplaced(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/precious", []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, place := range map[string]func(path string) error{
		"link":     func(path string) error { return os.Symlink(dir+"/precious", path) },
		"dangling": func(path string) error { return os.Symlink(dir+"/nothing", path) },
		"fifo":     func(path string) error { return unix.Mkfifo(path, 0o600) },
	} {
		for _, path := range []string{dir + "/" + name, dir + "/" + name + "2.new"} {
			if err := place(path); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range []string{dir + "/" + name, dir + "/" + name + "2"} {
			if err := Put(path, []byte("ours")); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	}
	if got, _ := os.ReadFile(dir + "/precious"); string(got) != "precious" {
		t.Errorf("%q", got)
	}
	if _, err := os.Lstat(dir + "/nothing"); err == nil {
		t.Error("a link was followed")
	}
}

func TestWhatCannotBeWrittenWholeLeavesTheFormer(t *testing.T) {
	dir := t.TempDir()
	if err := Put(dir+"/x", []byte("former")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	err := Replace(dir+"/x", func(w io.Writer) error {
		fmt.Fprint(w, "half")
		return full
	})
	if !errors.Is(err, full) {
		t.Error(err)
	}
	if got, _ := os.ReadFile(dir + "/x"); string(got) != "former" {
		t.Errorf("%q", got)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

// told waits until the guard tells, which it must.
func told(t *testing.T, g *Guard, what string) {
	t.Helper()
	select {
	case <-g.Touched():
	case <-time.After(time.Minute):
		t.Fatalf("%s: it tells nothing", what)
	}
}

func TestAGuardTellsWhatHappensToAFileAndAboveIt(t *testing.T) {
	for what, happen := range map[string]func(dir, path string) error{
		"deleted":         func(dir, path string) error { return os.Remove(path) },
		"moved":           func(dir, path string) error { return os.Rename(path, path+".old") },
		"replaced":        func(dir, path string) error { return Replace(path, func(io.Writer) error { return nil }) },
		"emptied":         func(dir, path string) error { return os.WriteFile(path, nil, 0) },
		"directory moved": func(dir, path string) error { return os.Rename(dir+"/b", dir+"/c") },
		"one above moved": func(dir, path string) error { return os.Rename(dir, dir+".old") },
		"directory gone":  func(dir, path string) error { return os.RemoveAll(dir + "/b") },
		"all of it gone":  func(dir, path string) error { return os.RemoveAll(dir) },
		"link to elsewhere": func(dir, path string) error {
			return errors.Join(os.Remove(dir+"/link"), os.Symlink("/", dir+"/link"))
		},
		"behind a link": func(dir, path string) error { return os.Rename(dir+"/real", dir+"/unreal") },
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir() + "/a"
			path := dir + "/b/x"
			if err := errors.Join(os.MkdirAll(dir+"/b", 0o700), os.WriteFile(path, []byte("x"), 0o600),
				os.MkdirAll(dir+"/real/sub", 0o700), os.WriteFile(dir+"/real/sub/y", nil, 0o600), os.Symlink("real", dir+"/link")); err != nil {
				t.Fatal(err)
			}
			g := NewGuard()
			defer g.Close()
			g.FollowData(path)
			g.Follow(dir + "/link/sub/y")
			if err := happen(dir, path); err != nil {
				t.Fatal(err)
			}
			told(t, g, what)
		})
	}
}

// A busy directory, such as /tmp, wakes nobody.
func TestAGuardHearsNothingOfNeighbours(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/x"
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := NewGuard()
	defer g.Close()
	g.Follow(path)
	for i := range 100 {
		neighbour := filepath.Join(dir, fmt.Sprint(i))
		if err := errors.Join(os.WriteFile(neighbour, []byte("x"), 0o600), os.Chmod(neighbour, 0o400), os.Remove(neighbour)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := unix.IoctlGetInt(int(g.inotify.Fd()), unix.TIOCINQ) // FIONREAD: bytes of events
	if err != nil || n != 0 || len(g.touched) != 0 {
		t.Errorf("%d bytes of events, told %d, %v", n, len(g.touched), err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	told(t, g, "its own file")
}

// Nothing is missed where the kernel has no more instances: it is looked at now and then.
func TestAGuardWithoutInotifyTellsNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Guard{touched: make(chan struct{}, 1), closed: make(chan struct{})}
		defer g.Close()
		g.startPolling()
		g.Follow("/none/of/it")
		for range 3 {
			told(t, g, "polling")
		}
	})
}
