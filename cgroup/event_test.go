package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAGroupIsCalledAsTheKernelDoes(t *testing.T) {
	for _, c := range []struct{ mount, root, group, want string }{
		{"/sys/fs/cgroup", "/", "pm/p/web.1", "/pm/p/web.1"},
		{"/sys/fs/cgroup", "/", "/", "/"},
		{"/sys/fs/cgroup", "/docker/c1", "pm", "/docker/c1/pm"},
		{"/sys/fs/cgroup", "/docker/c1", "/", "/docker/c1"},
		{"/", "/", "pm", "/pm"},
	} {
		h := &Hierarchy{Mount: c.mount, root: c.root}
		if got := h.Group(c.group).Full(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestMemoryEventsOfAGroupAndOfItsTree(t *testing.T) {
	g := Group{&Hierarchy{}, t.TempDir()}
	if _, err := g.MemoryEvents(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("without a controller: %v", err)
	}
	if _, _, err := g.MemoryMax(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("without a controller: %v", err)
	}
	for file, text := range map[string]string{
		"memory.events":       "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\nsock_throttled 7\n",
		"memory.events.local": "low 0\nhigh 0\nmax 0\noom 1\noom_kill 0\n", // before 5.17
		"memory.max":          "67108864\n",
	} {
		if err := os.WriteFile(filepath.Join(g.Path(), file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := g.MemoryEvents(); err != nil || e != (MemoryEvents{1, 2, 3, 4, 5, 6}) {
		t.Error(e, err)
	}
	if e, err := g.OwnMemoryEvents(); err != nil || e != (MemoryEvents{OOM: 1}) {
		t.Error(e, err)
	}
	if limit, ok, err := g.MemoryMax(); err != nil || !ok || limit != 64<<20 {
		t.Error(limit, ok, err)
	}
	if err := os.WriteFile(g.Path()+"/memory.max", []byte("max\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if limit, ok, err := g.MemoryMax(); err != nil || ok {
		t.Error(limit, ok, err)
	}
}
