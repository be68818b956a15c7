package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPlaceOfAGroup(t *testing.T) {
	g := newGroup(t)
	outer := makeChild(t, g, "outer")
	inner := makeChild(t, outer, "inner")
	if there, err := inner.Exists(); !there || err != nil {
		t.Errorf("it is there: %v, %v", there, err)
	}
	if there, err := inner.Child("none").Exists(); there || err != nil {
		t.Errorf("it is not there: %v, %v", there, err)
	}
	if there, err := inner.Child("../none").Exists(); there || err == nil {
		t.Errorf("what is no group is not known: %v, %v", there, err)
	}
	up := 0
	for above, ok := inner.Parent(); ok; above, ok = above.Parent() {
		if up++; up == 1 && above != outer {
			t.Errorf("above %v is %v", inner, above)
		}
	}
	if rel, _ := below(g.h.Mount, inner.Path()); up != strings.Count(rel, "/") {
		t.Errorf("%d groups above %s, which is mounted at %s", up, inner, g.h.Mount)
	}
	_, err := os.Stat(g.h.Mount + "/cgroup.type")
	if g.h.Contained() != (err == nil) {
		t.Errorf("contained %v, and the file: %v", g.h.Contained(), err)
	}
	_, err = os.Stat(inner.Path() + "/cgroup.kill")
	if inner.CanKill() != (err == nil) {
		t.Errorf("can be killed %v, and the file: %v", inner.CanKill(), err)
	}
	if err := outer.RemoveAlone(); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("with a group in it: %v", err)
	}
	cmd := spawn(t, inner, nil, "sleep", "1000")
	if pids, err := inner.Own(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("own processes %v, %v", pids, err)
	}
	if pids, err := outer.Own(); err != nil || len(pids) != 0 {
		t.Errorf("own processes of the group above: %v, %v", pids, err)
	}
	if err := inner.RemoveAlone(); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("with a process in it: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for range 2 { // the second time it is gone already
		if err := inner.RemoveAlone(); err != nil {
			t.Error(err)
		}
	}
	if _, err := inner.Own(); !gone(err) {
		t.Errorf("processes of a group that is gone: %v", err)
	}
}

func TestMayMoveNeedsTheCommonGroup(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"cgroup.procs", "a/b/cgroup.procs", "a/b/cgroup.subtree_control"} {
		path := filepath.Join(dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	h := &Hierarchy{Mount: dir}
	root := h.Group("a/b")
	if err := root.MayMove(h.Group("c")); err != nil {
		t.Error(err)
	}
	if err := root.MayMove(h.Group("a")); err == nil || !strings.Contains(err.Error(), dir+"/a/cgroup.procs") {
		t.Errorf("the common group cannot be written: %v", err)
	}
}

func TestLimitOfPids(t *testing.T) {
	dir := t.TempDir()
	g := (&Hierarchy{Mount: dir}).Group("/")
	for text, want := range map[string]int{"max\n": -1, "17\n": 17, "": -1} {
		if err := os.WriteFile(dir+"/pids.max", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if n, ok := g.PidsMax(); ok != (want >= 0) || ok && n != want {
			t.Errorf("%q: %d, %v", text, n, ok)
		}
	}
}
