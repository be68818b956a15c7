// Command processmanager is the daemon: a keeper, which is what the user starts,
// and the worker that the keeper starts of the same program.
//
//	processmanager [-socket PATH] [-secret-file FILE] [-state DIR] …
//
// It runs until SIGTERM or SIGINT, then ends every process in an orderly way; a
// second signal kills at once. Exit codes: 0 done, 1 it could not start or was
// killed, 2 usage; with -exit-with that of a process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
	_ "time/tzdata" // a host without zone data knows the zones of schedules all the same; its own come first

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/doctor"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
	"github.com/freeflowuniverse/processmanager/supervisor/systemd"
	"github.com/freeflowuniverse/processmanager/supervisor/version"
	"github.com/freeflowuniverse/processmanager/telnet"
	"github.com/freeflowuniverse/processmanager/telnet/lineedit"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// What makes the program something else than the keeper. They are the keeper's to
// use, not the user's.
const (
	workerArg = "-worker"
	verifyArg = "-verify-store" // with the state directory behind it
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == proc.SettingsArg { // it becomes a run's own program
		proc.Settle()
	}
	if len(os.Args) == 3 && os.Args[1] == holdArg {
		waitForSignal()
	}
	os.Exit(run(context.Background(), os.Args, os.Stderr))
}

// errUsage has been told to the user already.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, stderr io.Writer) int {
	out := &backlog{w: stderr}
	defer out.flush()
	// Whatever others have given stands on one line, with nothing that a terminal acts on.
	logger := log.New(screen.LineWriter(out), "processmanager: ", 0)
	var err error
	switch {
	case len(args) >= 3 && args[1] == holderArg:
		err = holdScope(args[2], args[3:])
	case len(args) == 2 && args[1] == workerArg:
		err = work(logger, out.flush)
	case len(args) == 2 && args[1] == keeper.CheckArg:
		err = keeper.WriteCheck(os.Stdout)
	case len(args) == 3 && args[1] == keeper.ResumeArg:
		err = resume(ctx, args[2], logger, out.flush)
	case len(args) == 3 && args[1] == verifyArg:
		err = store.Verify(store.In(args[2]))
	default:
		err = keep(ctx, args, logger, screen.NewWriter(out), out.flush)
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, errHandedOver):
		return 1
	}
	if ended, ok := errors.AsType[*keeper.EndedError](err); ok {
		if err != error(ended) { // something could not be cleaned up
			logger.Print(err)
		}
		return ended.Code
	}
	logger.Print(err)
	return 1
}

// keep is the keeper: it finds and locks the places where the daemon works, and
// looks after the worker until that has ended everything.
func keep(ctx context.Context, args []string, logger *log.Logger, stderr io.Writer, flush func()) (err error) {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	if o.version {
		return version.Write(os.Stdout, "processmanager", "/proc")
	}
	if o.secretFile != "" && o.secret == "" && !o.check && !o.unitStopped { // it may be a descriptor that is closed now
		secret, err := client.GivenSecret(o.secretFile)
		if err != nil {
			return err
		}
		o.secret = string(secret)
	}
	if err := errors.Join(proc.CloseInherited(proc.Sockets(os.Getenv)...), proc.Prepare()); err != nil {
		return err
	}
	debug.SetGCPercent(50) // it is small, and stays there all the time
	if o.unitStopped {
		return unitStopped(o)
	}
	if o.check {
		return check(o, os.Stdout, lineedit.Columns(os.Stdout))
	}
	signals := keeper.Listen(o.exitWith != "") // to the very end: what was begun is cleaned up
	place, err := openPlace(o, logger)
	if errors.Is(err, cgroup.ErrNoHierarchy) || errors.Is(err, cgroup.ErrReadOnly) {
		check(o, stderr, lineedit.Columns(os.Stderr)) // says more, and what to do
	}
	if err != nil {
		return err
	}
	defer func() { err = place.end(err) }()

	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer exe.Close()
	path, err := ownPath(args[0])
	if err != nil {
		return err
	}
	place.host = hostLink{os.Getenv("NOTIFY_SOCKET"), systemd.Watchdog(os.Getpid(), os.Getenv)}
	hello, err := place.hello()
	if err != nil {
		return err
	}
	if err := client.HideSecretEnv(); err != nil {
		logger.Printf("the secret stays in the environment, where this user can read it: %v", err)
	}
	if err := leaveDir(); err != nil {
		return err
	}
	logger.Printf("listening on %s", place.Socket)
	return place.keep(ctx, keeper.Config{
		Exe:       exe,
		Path:      path,
		Env:       systemd.WithoutOwn(withoutSecret(os.Environ())),
		Hello:     hello,
		Listeners: place.listeners,
		Signals:   signals,
		Former:    place.former,
		Locks:     place.locks,
	}, logger, flush)
}

// leaveDir lets go of the working directory: somebody may want to unmount it. Paths that
// were given have been made absolute by now.
func leaveDir() error { return os.Chdir("/") }

// ownPath is where an upgrade finds the next program: the path by which this one was
// started, which may be a link that is switched. Where argv[0] is another name, it is
// the file itself.
func ownPath(arg0 string) (string, error) {
	path, err := exec.LookPath(arg0)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err == nil {
		given, _ := os.Stat(path)
		running, _ := os.Stat("/proc/self/exe")
		if os.SameFile(given, running) {
			return path, nil
		}
	}
	return os.Executable() // now: later it may read "… (deleted)"
}

// check examines the host without a daemon, and says so to w, folded at width. A
// problem is an error.
func check(o options, w io.Writer, width int) error {
	if err := o.defaults(); err != nil {
		return err
	}
	root := o.Cgroup
	if root == "" {
		root = recordedRoot(o.State)
	}
	report := doctor.Examine(doctor.Config{
		Proc: "/proc", Root: root, Scope: givesScope(), State: o.State, Runtime: o.Runtime, Socket: o.Socket, Listen: o.Listen,
	})
	// What a start would refuse, by the same functions.
	refused := func(subject string, err error) {
		if err != nil && !errors.Is(err, client.ErrNoSecret) {
			report.Findings = append(report.Findings, process.Finding{Subject: subject, Level: process.LevelProblem, Found: err.Error()})
		}
	}
	if o.Listen != "" {
		_, err := resolveTCP(o.Listen, o.allowRemote)
		refused("listen", err)
	}
	_, err := givenSecret(o)
	refused("secret", err)
	if err := verbs.WriteReport(w, report, width); err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("this host is not fit for a daemon with these flags")
	}
	return nil
}

// options are the flags.
type options struct {
	places
	secret      string
	secretFile  string
	allowRemote bool
	idle        time.Duration // as telnet.Server has it
	exitWith    string        // a process; empty: the daemon ends when it is told to
	resetStore  bool
	check       bool
	unitStopped bool
	version     bool
}

func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("processmanager", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.Socket, "socket", "", "Unix `PATH` to listen on (default: pm.sock in the runtime directory)")
	f.StringVar(&o.Runtime, "runtime", "", "runtime `DIR`ectory, gone after a restart of the machine")
	f.StringVar(&o.State, "state", "", "state `DIR`ectory: definitions, logs; another one is another instance")
	f.StringVar(&o.Definitions, "definitions", "", "`DIR`ectory of *.hero files with definitions, which are loaded at the start")
	f.StringVar(&o.Cgroup, "cgroup", "", "cgroup `DIR`ectory to work below: one below the mount of cgroup v2, or its path from there, such as /pm (default: the daemon's own group)")
	f.Func("secret", "the `SECRET` that clients must send; others can see it for a moment: prefer -secret-file", client.SecretFlag(&o.secret))
	f.StringVar(&o.secretFile, "secret-file", "", "`FILE` whose first line is the secret")
	f.StringVar(&o.Listen, "listen", "", "`HOST:PORT` to listen on for telnet clients too, such as 127.0.0.1:2323")
	f.BoolVar(&o.allowRemote, "allow-remote", false, "let -listen be other than a loopback address, although telnet is clear text")
	f.Func("idle", "end a telnet session in which nothing was typed for this `TIME`, such as 2h; 0: never (default 30m)", func(text string) (err error) {
		o.idle, err = time.ParseDuration(text)
		switch {
		case err != nil || o.idle < 0:
			return errors.New("a length of time is expected, such as 90s or 2h, or 0 for none")
		case o.idle == 0:
			o.idle = telnet.NoIdle
		}
		return nil
	})
	f.Func("exit-with", "end all processes in order when the one of this `NAME` has ended for good, and exit with its code: for the first process of a container", func(name string) error {
		o.exitWith = name
		return process.ValidateName(name)
	})
	f.BoolVar(&o.check, "check", false, "examine this host for a daemon with these flags, print what was found, and end")
	f.BoolVar(&o.unitStopped, "unit-stopped", false, "for ExecStopPost= of a systemd unit: if the unit is stopped for good, end what a daemon that was killed has left")
	f.BoolVar(&o.resetStore, "reset-store", false, "move the definitions and the logs aside and start with none")
	f.BoolVar(&o.version, "version", false, "say which build this is, and on what it runs, and end")
	client.HideSecret(args)
	if err := f.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "usage: processmanager [flags]")
			f.SetOutput(stderr)
			f.PrintDefaults()
			return o, err
		}
		fmt.Fprintf(stderr, "processmanager: %s; -help lists the flags\n", screen.Line(err.Error()))
		return o, errUsage
	}
	if f.NArg() > 0 {
		fmt.Fprintf(stderr, "processmanager: unexpected argument %q: it takes flags only; -help lists the flags\n", f.Arg(0))
		return o, errUsage
	}
	return o, nil
}

// prepareStore does what -reset-store asks for, and refuses a store that is damaged.
func (o *options) prepareStore(logger *log.Logger) error {
	if o.resetStore {
		moved, err := supervisor.ResetStore(o.State)
		for _, path := range moved {
			logger.Printf("moved aside to %s", path)
		}
		return err
	}
	if err := store.Free(store.In(o.State)); err != nil {
		return err
	}
	verify := exec.Command("/proc/self/exe", verifyArg, o.State)
	verify.Env = withoutSecret(os.Environ())
	out, err := verify.CombinedOutput()
	if err == nil {
		return nil
	}
	// One line of what it said: its error, or the first of a crash.
	line, _, _ := strings.Cut(strings.TrimPrefix(string(out), "processmanager: "), "\n")
	if _, crashed := strings.CutPrefix(line, "panic: "); !crashed && !strings.HasPrefix(line, "unexpected fault") && line != "" {
		return errors.New(line)
	}
	return &store.Error{Path: store.In(o.State), Err: fmt.Errorf("it is damaged (%s)", line)}
}
