package kernellog

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// fixture is what a kernel's log told of in a guest: three kills by a group's own limit, of
// processes with odd names too, one in a nested group, one by the limit of the group above,
// a group that was ended as a whole, and a line that was written to /dev/kmsg.
func fixture(t testing.TB, name string) (kills []Kill) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return feed(t, data)
}

func feed(t testing.TB, data []byte) (kills []Kill) {
	var r reader
	for line := range bytes.Lines(data) {
		rec, ok := parseRecord(line)
		if !ok {
			t.Fatalf("no record: %q", line)
		}
		if k, ok := r.take(rec); ok {
			kills = append(kills, k)
		}
	}
	return kills
}

func TestKillsOfRealKernelsAreRead(t *testing.T) {
	files, err := filepath.Glob("testdata/linux-*")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	const web1, web3 = "/pm/p/web.1", "/pm/p/web.3"
	want := []Kill{
		{Name: "exe", Group: web1, Limit: web1},
		{Name: "a,pid=1,uid=0", Group: web1, Limit: web1},
		{Name: "x\n\\\xc3\xa4 ,task=y", Group: web1, Limit: web1},
		{Name: "nested", Group: web1, Limit: web1},
		{Name: "all", Group: "/pm/p/web.2", Limit: "/pm/p"},
		{Name: "big", Group: web3, Limit: web3},
		{Name: "sleep", Group: web3, Limit: web3},
		{Name: "sleep", Group: web3, Limit: web3},
		{Name: "sleep", Group: web3, Limit: web3},
	}
	for _, file := range files {
		kills, pids := fixture(t, file), map[int]bool{}
		for i := range kills {
			k := &kills[i]
			if k.PID < 100 || pids[k.PID] || k.Time < 5*time.Second || k.Time > time.Minute {
				t.Errorf("%s: pid %d at %v", file, k.PID, k.Time)
			}
			pids[k.PID] = true
			if i > 0 && k.Number <= kills[i-1].Number {
				t.Errorf("%s: number %d", file, k.Number)
			}
		}
		for i := range kills {
			kills[i].PID, kills[i].Time, kills[i].Number = 0, 0, 0
		}
		if !reflect.DeepEqual(kills, want) {
			t.Errorf("%s:\n%+v, want\n%+v", file, kills, want)
		}
	}
}

func TestALineIsReadStrictly(t *testing.T) {
	const head = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=web.1,mems_allowed=0-1,3"
	for _, c := range []struct {
		line string
		want Kill // PID 0: it is no such line
	}{
		{head + ",oom_memcg=/p,task_memcg=/p/web.1,task=sh,pid=7,uid=0", Kill{PID: 7, Name: "sh", Group: "/p/web.1", Limit: "/p"}},
		{head + ",oom_memcg=/p,task_memcg=/p/web.1,task=,pid=7,uid=0", Kill{PID: 7, Group: "/p/web.1", Limit: "/p"}},
		{"oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/p/web.1,task=sh,pid=7,uid=0",
			Kill{PID: 7, Name: "sh", Group: "/p/web.1", Machine: true}},
		{"oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=sh,pid=7,uid=0",
			Kill{PID: 7, Name: "sh", Group: "/", Machine: true}},
		// Names that say the same once more.
		{"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a,oom_memcg=x,mems_allowed=0,oom_memcg=/p,task_memcg=/p/web.1,task=sh,pid=7,uid=0",
			Kill{PID: 7, Name: "sh", Group: "/p/web.1", Limit: "/p"}},
		{head + ",oom_memcg=/p/web.1/x,task_memcg=/p/other.1,task_memcg=/p/web.1/x,task_memcg=/p/other.1,task=sh,pid=7,uid=0",
			Kill{PID: 7, Name: "sh", Group: "/p/web.1/x,task_memcg=/p/other.1", Limit: "/p/web.1/x,task_memcg=/p/other.1"}},
		{head + ",oom_memcg=/p,task_memcg=/p/web.1/x,task_memcg=/p/other.1,task=sh,pid=7,uid=0",
			Kill{PID: 7, Name: "sh", Group: "/p/web.1/x,task_memcg=/p/other.1", Limit: "/p"}},
		{head + ",oom_memcg=/p,task_memcg=/p/web.1,task=,task=,pid=1,,pid=7,uid=0", Kill{PID: 7, Name: ",task=,pid=1,", Group: "/p/web.1", Limit: "/p"}},
		// Not the kernel's, or not whole.
		{" " + head + ",oom_memcg=/p,task_memcg=/p/web.1,task=sh,pid=7,uid=0", Kill{}},
		{head + ",oom_memcg=/p,task_memcg=/q/web.1,task=sh,pid=7,uid=0", Kill{}},
		{head + ",task_memcg=/p/web.1,task=sh,pid=7,uid=0", Kill{}},
		{head + ",oom_memcg=/p,task_memcg=/p/web.1,task=a longer name than one,pid=7,uid=0", Kill{}},
		{head + ",oom_memcg=/p,task_memcg=/p/web.1,task=sh,pid=7", Kill{}},
		{head + ",oom_memcg=/p,task_memcg=/p/web.1,task=sh,pid=-7,uid=0", Kill{}},
		{head + ",oom_memcg=/p,task_memcg=/p/web.1,task=sh,pid=0,uid=0", Kill{}},
		{head + ",oom_memcg=/p,task_memcg=/p/web.1,task=sh,pid=7,uid=0 ", Kill{}},
		{head, Kill{}},
	} {
		got, ok := parseKill([]byte(c.line))
		if ok != (c.want.PID != 0) || ok && got != c.want {
			t.Errorf("%s:\n%+v %v, want\n%+v", c.line, got, ok, c.want)
		}
	}
}

func TestARecordHasItsTextAlone(t *testing.T) {
	rec, ok := parseRecord([]byte("6,2,1001,c,caller=T1;eth0: \\x0a\\x5cx41\\xzz\\x4\n SUBSYSTEM=net\n DEVICE=n2\n"))
	want := record{kernel: true, continues: true, number: 3, time: 1001 * time.Microsecond, text: []byte("eth0: \n\\x41\\xzz\\x4")}
	if !ok || !reflect.DeepEqual(rec, want) {
		t.Errorf("%+v %v, want %+v", rec, ok, want)
	}
}

func TestWhatUserSpaceWritesIsNotBelieved(t *testing.T) {
	line := ",oom_memcg=/p,task_memcg=/p/web.1,task=sh,pid=7,uid=0\n"
	for _, priority := range []string{"8", "12", "14", "4294967288", "-1", "x", ""} {
		var r reader
		rec, ok := parseRecord([]byte(priority + ",1,5,-;oom-kill:constraint=CONSTRAINT_MEMCG" + line))
		if k, is := r.take(rec); ok && is {
			t.Errorf("with priority %q: %+v", priority, k)
		}
	}
}

// A line that another processor has interrupted goes on in records of its own.
func TestALineInPartsIsPutTogether(t *testing.T) {
	kills := feed(t, []byte(`6,1,1000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=web.1,mems_allowed=0
6,2,1001,-;eth0: link is up
14,3,1002,c;,oom_memcg=/forged
6,4,1003,c,caller=T1;,oom_memcg=/p,task_memcg=/p/web.1
6,5,1004,c;,task=sh,pid=7,uid=0
6,6,1005,c;,task=sh,pid=8,uid=0
`))
	want := []Kill{{Number: 6, Time: time.Millisecond, PID: 7, Name: "sh", Group: "/p/web.1", Limit: "/p"}}
	if !reflect.DeepEqual(kills, want) {
		t.Errorf("%+v, want %+v", kills, want)
	}
}

// What is ended long after a group was is not of that group, and of what began it nothing may
// have been told.
func TestMembersOfAGroupAreThoseEndedWithIt(t *testing.T) {
	const kill = "3,1,%s,-;Memory cgroup out of memory: Killed process %s (sh) total-vm:1kB, anon-rss:1kB, UID:0 pgtables:1kB oom_score_adj:0\n"
	each := func(micros, pid string) string {
		return strings.Replace(strings.Replace(kill, "%s", micros, 1), "%s", pid, 1)
	}
	kills := feed(t, []byte(each("1000", "5")+
		"6,2,2000,-;Tasks in /p/web.1 are going to be killed due to memory.oom.group set\n"+each("3000", "6")+each("3001", "6")+each("4000000", "7")+each("4000001", "8")))
	want := []Kill{{Number: 2, Time: 3 * time.Millisecond, PID: 6, Name: "sh", Group: "/p/web.1"}}
	if !reflect.DeepEqual(kills, want) {
		t.Errorf("%+v, want %+v", kills, want)
	}
}

func TestALogThatCannotBeReadIsAnError(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "kmsg"))
	if _, err := l.Kills("/"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Kills("/"); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
}

// The log of this machine, whatever stands in it, is read to its end, and once.
func TestTheLogOfThisMachineIsRead(t *testing.T) {
	l := New("/dev/kmsg")
	defer l.Close()
	before, err := l.Kills("/")
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	after, err := l.Kills("/")
	if err != nil || len(after) < len(before) {
		t.Errorf("%d kills, then %d: %v", len(before), len(after), err)
	}
}

func FuzzRecords(f *testing.F) {
	for _, name := range []string{"6.1", "6.12", "6.18"} {
		data, err := os.ReadFile("testdata/linux-" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r reader
		for line := range bytes.Lines(data) {
			rec, ok := parseRecord(line)
			if !ok {
				continue
			}
			k, ok := r.take(rec)
			if !ok {
				continue
			}
			switch {
			case !rec.kernel, k.PID <= 0, len(k.Name) > maxName, !strings.HasPrefix(k.Group, "/"):
				t.Errorf("%+v from %q", k, line)
			case k.Machine && k.Limit != "", k.Limit != "" && !Holds(k.Limit, k.Group):
				t.Errorf("%+v from %q", k, line)
			}
		}
	})
}

// Whatever a tree calls its processes and the groups that it makes in its own, a kill in it is
// counted as its own, with its pid and its limit, and for nobody else.
func FuzzNamesOfATree(f *testing.F) {
	f.Add("web.1", "", "", "sh")
	f.Add(",oom_memcg=", "x,task_memcg=/p/other.1", ",task=a", ",pid=1,uid=0")
	f.Add("a,global_oom", ",oom_memcg=/p/other.1", ",task_memcg=/p/other.1", "oom-kill:constr")
	f.Fuzz(func(t *testing.T, cpuset, outer, inner, name string) {
		const own = "/p/web.1"
		if len(name) > maxName || strings.Contains(cpuset, "/") || strings.ContainsAny(cpuset+outer+inner, "\n\x00") || strings.Contains(name, "\x00") {
			return
		}
		below := func(above, names string) string {
			if names == "" {
				return above
			}
			return above + "/" + names
		}
		limit := below(own, outer)
		for _, limit := range []string{"/p", own, limit, ""} {
			group := below(below(own, outer), inner)
			text := "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=" + cpuset + ",mems_allowed=0"
			if limit == "" {
				text += ",global_oom"
			} else {
				text += ",oom_memcg=" + limit
			}
			text += ",task_memcg=" + group + ",task=" + name + ",pid=77,uid=0"
			k, ok := parseKill([]byte(text))
			if !ok || k.PID != 77 || !Holds(own, k.Group) {
				t.Fatalf("%+v %v from %q", k, ok, text)
			}
			if limit == "/p" || limit == own || limit == "" {
				if k.Limit != limit || k.Machine != (limit == "") {
					t.Errorf("%+v from %q", k, text)
				}
			} else if !Holds(own, k.Limit) {
				t.Errorf("%+v from %q", k, text)
			}
		}
	})
}
