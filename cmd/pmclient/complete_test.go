package main

import (
	"context"
	"flag"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// offered are the words that the last one could become.
func offered(t *testing.T, words ...string) (all []string) {
	t.Helper()
	code, stdout, stderr := pmclient(t, append([]string{completeCommand, "--"}, words...)...)
	if code != exitDone || stderr != "" {
		t.Fatalf("complete %q: exit code %d, %s", words, code, stderr)
	}
	for line := range strings.Lines(stdout) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, word)
	}
	return all
}

func TestEveryCommandFlagAndChoiceIsCompleted(t *testing.T) {
	known := offered(t, "")
	for _, c := range commands.All() {
		if !slices.Contains(known, c.Name) {
			t.Errorf("the command %s is not offered", c.Name)
		}
		flags := offered(t, c.Name, "-")
		for _, p := range c.Flags {
			if !slices.Contains(flags, "-"+p.Name) {
				t.Errorf("%s: the flag -%s is not offered", c.Name, p.Name)
			}
			for _, choice := range p.Choices {
				if !slices.Contains(offered(t, c.Name, "-"+p.Name, ""), choice) {
					t.Errorf("%s -%s: the value %s is not offered", c.Name, p.Name, choice)
				}
			}
		}
	}
	if slices.Contains(known, completeCommand) {
		t.Errorf("%s is offered to people", completeCommand)
	}
	for i := range process.Fields {
		f := &process.Fields[i]
		if got := offered(t, "start", "-"+f.Name+"="); len(f.Choices) > 0 && len(got) != len(f.Choices) {
			t.Errorf("-%s=: %q is offered, and it can be %q", f.Name, got, f.Choices)
		}
	}
}

func TestWhatAWordCouldBecome(t *testing.T) {
	for words, want := range map[string]string{
		"sta":                        "start status",
		"nonsense":                   "",
		"nonsense ":                  "",
		"help sto":                   "stop",
		"help stop ":                 "",
		"run ":                       ":files",
		"start -restart ":            "no on-failure always",
		"start -restart on":          "on-failure",
		"start --restart=a":          "--restart=always",
		"start -restart always -res": "-restart_delay -restart_max_delay -restart_limit -restart_window",
		"start -env A=1 -en":         "-env -env_file", // it may come again
		"start x -wait ":             "ready end",
		"start x -wait=r":            "-wait=ready",
		"start x -wait ready r":      "",
		"start x -- ":                ":programs",
		"start x -- sleep ":          ":files",
		"start -command -- -comm":    "",
		"start -dir ":                ":directories",
		"start -user ":               ":users",
		"start -group=w":             ":groups",
		"start -log=":                "-log=true -log=false",
		"log -n 5 -f":                "-follow -f -from -format",
		"apply -dry":                 "-dry-run",
		"apply -f ":                  ":files",
		"-socket ":                   ":files",
		"-secret-file /x -vers":      "-version",
		"list -vers":                 "",
		"signal -signal KI":          "KILL",
		"signal web KI":              "KILL",
		"signal KI":                  "",
		"process.stop -form":         "-format",
	} {
		// The daemon is not asked: there is none.
		typed := append([]string{"-socket", "/nonexistent"}, strings.Split(words, " ")...)
		if got := strings.Join(offered(t, typed...), " "); got != want {
			t.Errorf("%q: got %q, want %q", words, got, want)
		}
	}
}

// hostile is a daemon whose names are no names.
type hostile struct{ known }

func (h *hostile) Show(context.Context, process.Selection, process.Detail) (list []process.Outcome, err error) {
	for _, name := range []string{"web", "web$(touch x)", "web;reboot", "web\n:files", "web\x1b[31m", "-web", "we b"} {
		list = append(list, process.Outcome{Name: name, Status: process.NewStatus(process.Spec{Name: name, Command: "x"}, process.Running)})
	}
	return list, nil
}

func TestNoShellIsGivenWhatIsNoName(t *testing.T) {
	socket := daemon(t, new(hostile))
	words := []string{"-socket", socket, "-secret", secret}
	if got := offered(t, append(words, "stop", "")...); !slices.Equal(got, []string{"web"}) {
		t.Errorf("offered: %q", got)
	}
	if got := offered(t, append(words, "stop", "web", "")...); slices.Contains(got, "web") {
		t.Errorf("offered again: %q", got)
	}
}

// What the table of commands says of the flags of them all is what is read.
func TestTheTableHasTheFlagsThatAreTaken(t *testing.T) {
	var taken, told []string
	new(connection).before().VisitAll(func(f *flag.Flag) { taken = append(taken, f.Name) })
	for _, p := range append(commands.Connection, commands.Version) {
		told = append(told, p.Name)
		if p.Help == "" {
			t.Errorf("-%s has no help", p.Name)
		}
	}
	slices.Sort(told)
	if !slices.Equal(taken, told) { // VisitAll sorts
		t.Errorf("taken %q, told %q", taken, told)
	}
	codes := map[int]string{}
	for _, e := range commands.Exits {
		codes[e.Code] += e.Of
	}
	for code, of := range map[int]string{exitDone: "status", exitFailed: "", exitUsage: "", exitAtRest: "status", exitNoProcess: "status", exitNoDaemon: "", exitNotAuthenticated: "",
		process.ExitTimeOver: "-wait", process.ExitOurFault: "-wait", process.ExitSignal: "-wait"} {
		if got, ok := codes[code]; !ok || got != of {
			t.Errorf("exit code %d of %q is told as of %q, %v", code, of, got, ok)
		}
	}
}

// Somebody waits at the keys: a second at most, however long the daemon takes.
func TestNamesAreNotWaitedFor(t *testing.T) {
	if namesTime > time.Second {
		t.Errorf("names are waited for %v", namesTime)
	}
	socket := filepath.Join(t.TempDir(), "mute.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // far more than that, and less than a command waits
	defer cancel()
	typed := readTyped([]string{"-socket", socket, "-secret", secret, "status"})
	if got := typed.candidates(ctx, "w"); len(got) != 0 || ctx.Err() != nil {
		t.Errorf("%q, %v", got, ctx.Err())
	}
}
