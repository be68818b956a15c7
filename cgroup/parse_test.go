package cgroup

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestMountinfoNamesAreUnescaped(t *testing.T) {
	got, err := parseMountinfo(strings.NewReader(
		`35 24 0:30 /a\040b\012c /mnt/with\040blank\011tab\134slash rw,relatime shared:1 master:2 - cgroup2 odd\040source rw,nsdelegate` + "\n" +
			`36 24 0:30 /.. /mnt rw - cgroup2  rw` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []mount{
		{"/a b\nc", "/mnt/with blank\ttab\\slash", "cgroup2", []string{"rw", "nsdelegate"}},
		{"/..", "/mnt", "cgroup2", []string{"rw"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		root, path, want string
		ok               bool
	}{
		{"/", "/", "/", true},
		{"/", "/a/b", "/a/b", true},
		{"/a", "/a", "/", true},
		{"/a", "/a/b", "/b", true},
		{"/a", "/ab", "", false},
		{"/a", "/", "", false},
		{"/a", "", "", false},
		// From inside a cgroup namespace, groups above it have no names.
		{"/", "/../b", "", false},
		{"/..", "/", "", false},
		{"/..", "/../b", "/b", true},
		{"/..", "/../..", "", false},
		{"/../..", "/../../a/b", "/a/b", true},
	} {
		if got, ok := below(c.root, c.path); got != c.want || ok != c.ok {
			t.Errorf("below(%q, %q) = %q, %v, want %q, %v", c.root, c.path, got, ok, c.want, c.ok)
		}
	}
}

func TestPidsOfOtherNamespacesAreLeftOut(t *testing.T) {
	got, err := parsePids(nil, []byte("12\n0\n345\n"))
	if want := []int{12, 345}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := parsePids(nil, []byte("12\n-3\n")); err == nil {
		t.Error("a negative pid was accepted")
	}
}

func TestKeyedFiles(t *testing.T) {
	flat := []byte("oom 3\noom_kill 2\noom_group_kill 1\nhuge 18446744073709551615\nover 18446744073709551616\nbad x\n")
	for key, want := range map[string]uint64{"oom": 3, "oom_kill": 2, "oom_group_kill": 1, "huge": 1<<64 - 1} {
		if got, ok := flatKey(flat, key); got != want || !ok {
			t.Errorf("%s is %d, %v, want %d", key, got, ok, want)
		}
	}
	for _, key := range []string{"oom_", "kill", "bad", "over", ""} {
		if got, ok := flatKey(flat, key); ok {
			t.Errorf("%s is %d, want none", key, got)
		}
	}
}

func TestDevicesThatWereUsed(t *testing.T) {
	var got []Device
	eachDevice([]byte("8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n"+
		"254:0 \n"+
		"7:0 7:1 8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"+ // as some kernels have it
		"9:0 rbytes=0 wbytes=0 rios=0 wios=0 dbytes=0 dios=0\n"+
		"259:1048575 rbytes=x wbytes=7 cost.usage=12"), func(d Device) { got = append(got, d) })
	want := []Device{{8, 16, IO{1459200, 314773504, 192, 353}}, {8, 0, IO{1, 2, 3, 4}}, {259, 1048575, IO{0, 7, 0, 0}}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte("38 31 0:35 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"))
	f.Add([]byte("usage_usec 12\nuser_usec 3\npopulated 1\n"))
	f.Add([]byte("8:16 rbytes=1459200 wbytes=314773504\n"))
	f.Add([]byte("8:0 8:16 rbytes=1\n"))
	f.Add([]byte("some avg10=0.12 avg60=0.00 avg300=0.00 total=31\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"))
	f.Add([]byte("anon 1\nfile 2\nkernel 3\nshmem 4\n"))
	f.Add([]byte("1\n2\n3\n"))
	f.Add([]byte(`\040\`))
	f.Fuzz(func(t *testing.T, data []byte) {
		mounts, err := parseMountinfo(bytes.NewReader(data))
		for _, m := range mounts {
			if err == nil && m.fsType != "cgroup" && m.fsType != "cgroup2" {
				t.Errorf("a mount of type %q", m.fsType)
			}
			if rel, ok := below("/", m.root); ok && strings.HasPrefix(rel+"/", "/../") {
				t.Errorf("below leads out: %q", rel)
			}
		}
		pids, _ := parsePids(nil, data)
		for _, pid := range pids {
			if pid <= 0 {
				t.Errorf("pid %d", pid)
			}
		}
		flatKey(data, "usage_usec")
		var u Usage
		u.parseCPU(data)
		for _, f := range figureFiles {
			u.parse(f.figure, data)
		}
		if u.Known&^AllFigures != 0 || u.Has(FigureCPUFull) && u.CPUPressure.Full.Avg10 < 0 {
			t.Errorf("%+v", u)
		}
		if s := unescape(string(data)); !bytes.ContainsRune(data, '\\') && s != string(data) {
			t.Errorf("unescape changed %q to %q", data, s)
		}
	})
}
