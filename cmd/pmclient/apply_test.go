package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
	"golang.org/x/sys/unix"
)

const one, two = "!!process.define name:one command:true\n", "!!process.define name:two command:'echo \\'2\\''"

func TestApplyReadsFilesHere(t *testing.T) {
	k := &known{applied: []process.Applied{{Name: "one", Action: process.ApplyNew, State: process.Stopped}}}
	socket := daemon(t, k)
	dir := t.TempDir()
	for name, text := range map[string]string{"b.hero": two, "a.hero": one, "c.txt": "!!", ".d.hero": "!!"} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	file := fmt.Sprintf("apply %q %q ", dir+"/a.hero", []process.File{{Path: dir + "/a.hero", Text: one}})
	folder := fmt.Sprintf("apply %q %q ", dir, []process.File{{Path: dir + "/a.hero", Text: one}, {Path: dir + "/b.hero", Text: two + "\n"}})
	t.Chdir(dir)
	for args, want := range map[string]string{
		"apply":                          `apply "" [] false false false`,
		"apply -prune -dry-run -restart": `apply "" [] true true true`,
		"apply -dry_run":                 `apply "" [] false true false`,
		"process.apply -dry-run=no":      `apply "" [] false false false`,
		"apply -f DIR/a.hero":            file + "false false false",
		"apply -f a.hero -prune":         file + "true false false",
		"apply -f DIR -restart":          folder + "false false true",
		"apply -f DIR/":                  folder + "false false false",
		"apply -f .":                     folder + "false false false",
		"apply -f - -format text":        fmt.Sprintf(`apply "-" %q false false false`, []process.File{{Path: "-", Text: one}}),
	} {
		k.asked = nil
		line := append(strings.Fields(strings.ReplaceAll(args, "DIR", dir)), "-socket", socket, "-secret", secret)
		code, stdout, stderr := pmclientWith(t, one, line...)
		if code != exitDone || !slices.Equal(k.asked, []string{want}) || !strings.HasSuffix(stdout, "1 new\n") {
			t.Errorf("%s: code %d, %s%s\nasked %q\nwant  %q", args, code, stdout, stderr, k.asked, want)
		}
	}
}

// What has a fault is told where it stands, and no daemon is asked.
func TestApplyOfAFaultyFile(t *testing.T) {
	k := &known{}
	socket := daemon(t, k)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a.hero", []byte(one+"!!process.define name:two\n  command:'\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/big.hero", []byte("!!process.define name:a command:true\n"+strings.Repeat("// x\n", telnet.MaxPending/5)), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"many", "fifo", "link"} {
		if err := os.Mkdir(dir+"/"+sub, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(dir+"/many/"+name+".hero", []byte("!!process.define name:"+name+" command:true\n"+strings.Repeat("// x\n", telnet.MaxPending/10)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(unix.Mkfifo(dir+"/fifo/a.hero", 0o600), os.Symlink("/dev/zero", dir+"/link/a.hero")); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]struct {
		code int
		text string
	}{
		"apply -f DIR/a.hero":    {exitFailed, dir + "/a.hero: line 3, column 11: quote opened here is never closed; nothing was changed"},
		"apply -f -":             {exitFailed, "standard input: line 1, column 1: "},
		"apply -f DIR/none":      {exitUsage, "no such file"},
		"apply x":                {exitUsage, "behind -f"},
		"apply -f DIR/a.hero -x": {exitUsage, "pmclient help apply"},
		"apply -prune=maybe":     {exitUsage, "prune"},
		"apply -f DIR/big.hero":  {exitFailed, "big.hero: it has more than 1024 KiB"},
		"apply -f DIR/many":      {exitFailed, "apply its files one by one"},
		"apply -f DIR/fifo":      {exitFailed, "fifo/a.hero: it is no regular file"},
		"apply -f DIR/link":      {exitFailed, "link/a.hero: it is no regular file"},
		"apply -f /dev/zero":     {exitFailed, "/dev/zero: it has more than 1024 KiB"},
		"apply -f=":              {exitUsage, "a file, a folder or - is expected"},
		"apply -f a -f b":        {exitUsage, "given twice"},
	} {
		line := append(strings.Fields(strings.ReplaceAll(args, "DIR", dir)), "-socket", socket, "-secret", secret)
		if code, _, stderr := pmclientWith(t, "x", line...); code != want.code || !strings.Contains(stderr, want.text) {
			t.Errorf("%s: code %d, %s; want %+v", args, code, stderr, want)
		}
	}
	if len(k.asked) > 0 {
		t.Errorf("asked %q", k.asked)
	}
}

func TestApplyThatFailsInPartIsAFailure(t *testing.T) {
	k := &known{applied: []process.Applied{{Name: "a", Action: process.ApplyNew, Err: process.Errorf(process.CodeStart, "no such directory")}, {Name: "b", Action: process.ApplyNew, PID: 7, Run: 1}}}
	socket := daemon(t, k)
	code, stdout, stderr := pmclient(t, "apply", "-socket", socket, "-secret", secret)
	if code != exitFailed || stdout != "NAME  WHAT  WHY\nb     new   run 1, pid 7\n1 new, 1 failed\n" || stderr != "pmclient: no such directory\n" {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

func TestExportIsByteForByte(t *testing.T) {
	socket := daemon(t, &known{})
	if code, stdout, stderr := pmclient(t, "export", "web", "-socket", socket, "-secret", secret); code != exitDone || stdout != "!!process.define name:web command:'\x1b'\n" {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}
