package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
		path := tmp + "/run/below/s"
		f, made, err := bindUnix("socket", path, c.a)
		if err == nil {
			f.Close()
			err = c.a.letIn("socket", path, made...)
		}
		if err != nil {
			t.Errorf("%+v: %v", c.a, err)
			continue
		}
		socket, _ := os.Stat(path)
		if socket.Mode().Perm() != c.mode || groupOf(socket) != c.gid {
			t.Errorf("%+v: the socket is %v of group %d", c.a, socket.Mode(), groupOf(socket))
		}
		for _, name := range []string{"/run", "/run/below"} {
			if dir, _ := os.Stat(tmp + name); dir.Mode().Perm() != c.dir || groupOf(dir) != c.gid {
				t.Errorf("%+v: %s is %v of group %d", c.a, name, dir.Mode(), groupOf(dir))
			}
		}
		if err := c.a.examine("socket", path); err != nil {
			t.Errorf("%+v: %v", c.a, err)
		}
	}
}

// A directory that goes from one group to another gives that the way through, and nothing else
// that the former group could.
func TestALetInGroupInheritsNothing(t *testing.T) {
	asRoot(t)
	tmp, err := os.MkdirTemp("/tmp", "pm")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	for _, c := range []struct {
		gid       int
		mode, dir fs.FileMode
	}{
		{0, 0o750, 0o710},
		{member, 0o740, 0o750}, // its own rights it keeps
	} {
		os.Chown(tmp, -1, c.gid)
		os.Chmod(tmp, c.mode)
		if err := (access{Mode: 0o660, Group: "20345"}).letIn("socket", tmp+"/s", tmp); err != nil {
			t.Error(err)
		}
		if info, _ := os.Stat(tmp); info.Mode().Perm() != c.dir || groupOf(info) != member {
			t.Errorf("%+v: it is %v of group %d", c, info.Mode(), groupOf(info))
		}
	}
}

// Bits of a directory that say something else stay, such as setgid.
func TestADirectoryThatIsOpenedKeepsItsOtherBits(t *testing.T) {
	asRoot(t)
	for _, a := range []access{{Mode: 0o660, Group: "20345"}, {Mode: 0o666}} {
		tmp := t.TempDir()
		os.Chmod(tmp, 0o700|fs.ModeSetgid|fs.ModeSticky)
		os.Chmod(filepath.Dir(tmp), 0o755)
		if err := a.letIn("socket", tmp+"/s", tmp); err != nil {
			t.Error(err)
		}
		if info, _ := os.Stat(tmp); info.Mode()&(fs.ModeSetgid|fs.ModeSticky) != fs.ModeSetgid|fs.ModeSticky || info.Mode().Perm()&0o010 == 0 {
			t.Errorf("%+v: it is %v", a, info.Mode())
		}
	}
}

// A member of a directory's group has the group's rights there, not those of others.
func TestTheGroupOfADirectoryIsNotOneOfTheOthers(t *testing.T) {
	asRoot(t)
	group, all := access{Mode: 0o660, Group: "20345"}, access{Mode: 0o666}
	for _, c := range []struct {
		a      access
		gid    int
		mode   fs.FileMode
		passes bool
	}{
		{group, member, 0o701, false},
		{group, member, 0o710, true},
		{group, 0, 0o701, true},
		{group, 0, 0o710, false},
		{all, 0, 0o701, false}, // root's group
		{all, 0, 0o711, true},
	} {
		tmp := t.TempDir()
		os.Chmod(filepath.Dir(tmp), 0o755)
		if err := errors.Join(os.Chown(tmp, -1, c.gid), os.Chmod(tmp, c.mode)); err != nil {
			t.Fatal(err)
		}
		if err := c.a.examine("socket", tmp+"/s"); (err == nil) != c.passes {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Who follows a link passes the directories that it leads through.
func TestADirectoryBehindALinkIsLookedAt(t *testing.T) {
	asRoot(t)
	tmp := t.TempDir()
	if err := errors.Join(os.MkdirAll(tmp+"/shut/in", 0o755), os.Mkdir(tmp+"/open", 0o755), os.Symlink("../shut/in", tmp+"/open/link"),
		os.Chmod(tmp+"/shut", 0o700), os.Chmod(tmp, 0o755), os.Chmod(filepath.Dir(tmp), 0o755)); err != nil {
		t.Fatal(err)
	}
	a, path := access{Mode: 0o666}, tmp+"/open/link/below/s"
	if err := a.examine("socket", path); err == nil || !strings.Contains(err.Error(), " through "+tmp+"/shut (mode 0700)") {
		t.Errorf("got %v", err)
	}
	if err := a.letIn("socket", path, tmp+"/shut"); err != nil { // ours, by another path
		t.Error(err)
	}
	if err := a.examine("socket", path); err != nil {
		t.Error(err)
	}
	os.Remove(tmp + "/open/link")
	os.Symlink("link", tmp+"/open/link") // leads nowhere, which has an end
	if err := a.examine("socket", path); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("got %v", err)
	}
}

// Definitions in a state directory that everybody may pass now were closed by that alone.
func TestDefinitionsThatEverybodyCanReadNowAreNamed(t *testing.T) {
	state := t.TempDir()
	dir := state + "/definitions"
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(dir+"/a.hero", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a         access
		dir, file fs.FileMode
		want      bool
	}{
		{access{Mode: 0o666}, 0o755, 0o644, true},
		{access{Mode: 0o666}, 0o711, 0o604, true}, // its name can be guessed
		{access{Mode: 0o666}, 0o700, 0o644, false},
		{access{Mode: 0o666}, 0o755, 0o600, false},
		{access{Mode: 0o660}, 0o755, 0o644, false},
		{access{}, 0o755, 0o644, false},
	} {
		os.Chmod(dir, c.dir)
		os.Chmod(dir+"/a.hero", c.file)
		if c.a.bares(dir, state) != c.want {
			t.Errorf("%+v: want %v", c, c.want)
		}
	}
	os.Chmod(dir, 0o755)
	os.Chmod(dir+"/a.hero", 0o644)
	if (access{Mode: 0o666}).bares(dir, state+"/other") {
		t.Error("it stands in a directory that is not opened")
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
			for how, err := range map[string]error{"a start": a.letIn("socket", path), "-check": a.examine("socket", path, tmp+"/run")} {
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
	if err := group.letIn("socket", tmp+"/s"); err != nil {
		t.Error(err)
	}
}
