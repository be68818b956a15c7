package main

import (
	"io/fs"
	"os"
	"strings"
	"testing"
)

// member is a group that nobody else is in.
const member = 20345

// Each mode and group lets in whom it says, and opens no more of our own directory than that
// takes.
func TestTheSocketsDirectoryLetsInWhoMayConnect(t *testing.T) {
	asRoot(t)
	for _, c := range []struct {
		a         access
		mode, dir fs.FileMode
		gid       int
	}{
		{access{}, 0o600, 0o700, 0},
		{access{Mode: 0o600}, 0o600, 0o700, 0},
		{access{Mode: 0o660, Group: "20345"}, 0o660, 0o710, member},
		{access{Mode: 0o666}, 0o666, 0o711, 0},
	} {
		tmp, err := os.MkdirTemp("/tmp", "pm")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(tmp)
		os.Chmod(tmp, 0o755)
		path := tmp + "/run/s"
		f, ours, err := bindUnix(path, c.a, "")
		if err == nil {
			f.Close()
			err = c.a.letIn(path, ours)
		}
		if err != nil {
			t.Errorf("%+v: %v", c.a, err)
			continue
		}
		socket, _ := os.Stat(path)
		dir, _ := os.Stat(tmp + "/run")
		if socket.Mode().Perm() != c.mode || dir.Mode().Perm() != c.dir || groupOf(socket) != c.gid || groupOf(dir) != c.gid {
			t.Errorf("%+v: the socket is %v of group %d, its directory %v of group %d", c.a, socket.Mode(), groupOf(socket), dir.Mode(), groupOf(dir))
		}
		if err := c.a.examine(path, ""); err != nil {
			t.Errorf("%+v: %v", c.a, err)
		}
	}
}

// What is not ours to open is named, with what mends it; nothing is changed.
func TestADirectoryThatKeepsTheGroupOutIsNamed(t *testing.T) {
	asRoot(t)
	tmp, err := os.MkdirTemp("/tmp", "pm") // 0700
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	group, all := access{Mode: 0o660, Group: "20345"}, access{Mode: 0o666}
	for _, path := range []string{tmp + "/s", tmp + "/run/s"} {
		for a, want := range map[access]string{
			group: "group 20345 cannot reach " + path + " through " + tmp + " (mode 0700): chgrp 20345 " + tmp + " && chmod g+x " + tmp + ", or give another path with -socket",
			all:   "every user of this machine cannot reach " + path + " through " + tmp + " (mode 0700): chmod a+x " + tmp,
		} {
			for how, err := range map[string]error{"a start": a.letIn(path, false), "-check": a.examine(path, tmp+"/run")} {
				if err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("%s: %v, want %s", how, err, want)
				}
			}
		}
	}
	if info, _ := os.Stat(tmp); info.Mode().Perm() != 0o700 {
		t.Errorf("it was opened: %v", info.Mode())
	}
	os.Chown(tmp, -1, member)
	os.Chmod(tmp, 0o710) // as it says
	if err := group.letIn(tmp+"/s", false); err != nil {
		t.Error(err)
	}
}
