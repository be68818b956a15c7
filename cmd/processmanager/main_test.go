package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/telnet"
)

// The program looks at a store in a second process of itself, which is this
// binary here.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == verifyArg {
		os.Exit(run(context.Background(), os.Args, os.Stderr))
	}
	if path := os.Getenv(holdVar); path != "" {
		if err := hold(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// words is a command line whose bytes may be overwritten, as those of os.Args.
func words(args ...string) []string {
	line := []string{"processmanager"}
	for _, arg := range args {
		line = append(line, strings.Clone(arg))
	}
	return line
}

func TestFlags(t *testing.T) {
	o, err := parseOptions(words("-socket", "/s", "--runtime=/r", "-state=/st", "-cgroup", "c", "-secret", "x", "-secret-file", "f",
		"-listen", "[::1]:2323", "-allow-remote", "-idle", "1h30m", "-reset-store"), io.Discard)
	want := options{
		places: places{Socket: "/s", Runtime: "/r", State: "/st", Cgroup: "c", Listen: "[::1]:2323"},
		secret: "x", secretFile: "f", allowRemote: true, resetStore: true, idle: 90 * time.Minute,
	}
	if err != nil || o != want {
		t.Errorf("got %+v, %v", o, err)
	}
	if o, err := parseOptions(words("-idle=0"), io.Discard); err != nil || o.idle != telnet.NoIdle {
		t.Errorf("-idle=0: %+v, %v", o, err)
	}
	if o, err := parseOptions(words(), io.Discard); err != nil || o != (options{}) {
		t.Errorf("without flags: %+v, %v", o, err)
	}
}

func TestThePathOfAnUpgradeIsTheOneOfTheStart(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("PATH", dir)
	os.Symlink(exe, dir+"/link")
	os.Symlink("/bin/sh", dir+"/other")
	for arg0, want := range map[string]string{
		exe: exe, dir + "/link": dir + "/link", "./link": dir + "/link", "link": dir + "/link",
		"other": exe, "./other": exe, "none": exe, "./none": exe, "": exe,
	} {
		if got, err := ownPath(arg0); got != want || err != nil {
			t.Errorf("%q: got %s, %v, want %s", arg0, got, err, want)
		}
	}
}

func TestUsageErrorsSayWhatIsWrong(t *testing.T) {
	for args, want := range map[string]string{
		"-sokcet x": "flag provided but not defined: -sokcet",
		"-socket":   "flag needs an argument: -socket",
		"start":     `unexpected argument "start": it takes flags only; -help lists the flags`,
		"-idle 10":  `invalid value "10" for flag -idle: a length of time is expected, such as 90s or 2h, or 0 for none`,
		"-idle -1s": "a length of time is expected",
		"-secret=":  `invalid value "" for flag -secret: -secret is empty`,
		"-worker x": "flag provided but not defined: -worker",
	} {
		var stderr strings.Builder
		if _, err := parseOptions(words(strings.Fields(args)...), &stderr); !errors.Is(err, errUsage) || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: got %v, %s", args, err, stderr.String())
		}
		if said := stderr.String(); strings.Count(said, "\n") != 1 || !strings.HasSuffix(said, "-help lists the flags\n") {
			t.Errorf("%s: not one line that says what to do: %s", args, said)
		}
	}
	var stderr strings.Builder
	if _, err := parseOptions(words("-h"), &stderr); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: got %v", err)
	}
	for _, flag := range []string{"-socket PATH", "-secret-file FILE", "-state DIR", "-runtime DIR", "-cgroup DIR", "-reset-store", "-listen HOST:PORT", "-idle TIME"} {
		if !strings.Contains(stderr.String(), "  "+flag) {
			t.Errorf("-h does not tell of %s:\n%s", flag, stderr.String())
		}
	}
}
