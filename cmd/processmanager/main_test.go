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

// told are the options of a command line.
func told(t *testing.T, args ...string) options {
	t.Helper()
	c, err := parseOptions(words(args...), io.Discard, io.Discard)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return c.Options
}

func TestFlags(t *testing.T) {
	forgetSecrets(t)
	got := told(t, "-socket", "/s", "--runtime=/r", "-state=/st", "-cgroup", "c", "-secret", "x",
		"-listen", "[::1]:2323", "-allow-remote", "-idle", "1h30m", "-reset-store", "-socket-mode", "0660", "-socket-group", "0")
	want := options{
		Places: places{Socket: "/s", Runtime: "/r", State: "/st", Cgroup: "c", Listen: "[::1]:2323"},
		Secret: "x", AllowRemote: true, ResetStore: true, Idle: 90 * time.Minute, SocketMode: 0o660, SocketGroup: "0",
	}
	if got != want {
		t.Errorf("got %+v", got)
	}
	if o := told(t, "-idle=0", "-state=/st"); o.Idle != telnet.NoIdle {
		t.Errorf("-idle=0: %+v", o)
	}
	if o := told(t, "-state=/st"); o != (options{Places: places{State: "/st"}}) {
		t.Errorf("without other flags: %+v", o)
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
		"-sokcet x": `there is no flag "-sokcet": did you mean -socket?`,
		"-socket":   "flag needs an argument: -socket",
		"start":     `unexpected argument "start": it takes flags only; -help lists the flags`,
		"-idle 10":  `invalid value "10" for flag -idle: a length of time is expected, such as 90s or 2h, or 0 for none`,
		"-idle -1s": "a length of time is expected",
		"-secret=":  `invalid value "" for flag -secret: -secret is empty`,
		"-worker x": `there is no flag "-worker"`,
	} {
		var stdout, stderr strings.Builder
		if _, err := parseOptions(words(strings.Fields(args)...), &stdout, &stderr); !errors.Is(err, errUsage) || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: got %v, %s", args, err, stderr.String())
		}
		if said := stderr.String(); stdout.Len() > 0 || strings.Count(said, "\n") != 1 || !strings.HasSuffix(said, "-help lists the flags\n") {
			t.Errorf("%s: not one line that says what to do: %s", args, said)
		}
	}
	var stdout, stderr strings.Builder
	if _, err := parseOptions(words("-h"), &stdout, &stderr); !errors.Is(err, flag.ErrHelp) || stderr.Len() > 0 {
		t.Errorf("-h: got %v, and on standard error %s", err, stderr.String())
	}
	for _, flag := range []string{"-socket PATH", "-secret-file FILE", "-state DIR", "-runtime DIR", "-cgroup DIR", "-reset-store", "-listen HOST:PORT", "-idle TIME"} {
		if !strings.Contains(stdout.String(), "  "+flag) {
			t.Errorf("-h does not tell of %s:\n%s", flag, stdout.String())
		}
	}
}
