package cgroup

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newWatch(t testing.TB) *Watch {
	t.Helper()
	w, err := NewWatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// kept counts the watches that the kernel keeps for w.
func kept(t *testing.T, w *Watch) int {
	t.Helper()
	var info []byte
	err := w.control(func(fd int) (err error) {
		info, err = os.ReadFile(fmt.Sprint("/proc/self/fdinfo/", fd))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(info), "inotify wd:")
}

func TestWatchSeesEveryKill(t *testing.T) {
	g := newGroup(t)
	w := newWatch(t)
	const n = 200
	ended := make(chan Group, n)
	var groups []Group
	var removes []func()
	for i := range n {
		c := makeChild(t, g, fmt.Sprint("c", i))
		spawn(t, c, nil, "sleep", "1000")
		var once sync.Once
		remove, err := w.Add(c, func() {
			if e, err := c.Events(); err != nil {
				t.Error(err)
			} else if !e.Populated {
				once.Do(func() { ended <- c })
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		groups, removes = append(groups, c), append(removes, remove)
	}
	for _, c := range groups {
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	late := time.After(deadline)
	for i := range n {
		select {
		case <-ended:
		case <-late:
			t.Fatalf("%d of %d kills were seen", i, n)
		}
	}
	for i, c := range groups {
		if i%2 == 0 { // before and after the group is gone
			removes[i]()
		}
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
		removes[i]()
		removes[i]()
	}
	if n := kept(t, w); n != 0 {
		t.Errorf("the kernel still keeps %d watches", n)
	}
}

func TestWatchTellsAllOfOneGroup(t *testing.T) {
	g := newGroup(t)
	w := newWatch(t)
	first, second := make(chan struct{}, 100), make(chan struct{}, 100)
	removeFirst, err := w.Add(g, func() { first <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	removeSecond, err := w.Add(g, func() { second <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	wait := func(c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(deadline):
			t.Fatal("not told")
		}
	}
	cmd := spawn(t, g, nil, "sleep", "1000") // populated
	wait(first)
	wait(second)
	removeFirst()
	for len(second) > 0 {
		<-second
	}
	empty(t, g)
	cmd.Wait()
	wait(second)
	removeSecond()
	if n := kept(t, w); n != 0 {
		t.Errorf("the kernel still keeps %d watches", n)
	}
}

func TestWatchMayBeChangedFromNotify(t *testing.T) {
	g := newGroup(t)
	w := newWatch(t)
	done := make(chan error, 10)
	var remove func()
	var mu sync.Mutex
	mu.Lock()
	remove, err := w.Add(g, func() {
		mu.Lock()
		defer mu.Unlock()
		remove()
		_, err := w.Add(g, func() {})
		done <- err
	})
	mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	spawn(t, g, nil, "sleep", "1000")
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(deadline):
		t.Fatal("not told, or stuck")
	}
}

func TestOverflowTellsEverybody(t *testing.T) {
	g := newGroup(t)
	w := newWatch(t)
	for i := range 3 {
		if _, err := w.Add(makeChild(t, g, fmt.Sprint("c", i)), func() {}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.take(-1, unix.IN_Q_OVERFLOW)); n != 3 {
		t.Errorf("%d of 3 are told", n)
	}
}

func TestClosedWatch(t *testing.T) {
	g := newGroup(t)
	w := newWatch(t)
	remove, err := w.Add(g, func() { t.Error("told after Close") })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add(g.Child("none"), func() {}); !gone(err) {
		t.Errorf("a group that is not there: %v", err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	remove()
	if _, err := w.Add(g, func() {}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("added after Close: %v", err)
	}
	cmd := spawn(t, g, nil, "true")
	cmd.Wait()
}
