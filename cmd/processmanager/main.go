// Command processmanager is the daemon: a keeper, which is what the user starts,
// and the worker that the keeper starts of the same program.
//
//	processmanager [-socket PATH] [-secret-file FILE] [-state DIR] …
//
// It runs until SIGTERM or SIGINT, or until the terminal that it was started from is closed,
// then ends every process in an orderly way; a second signal kills at once. Exit codes: 0 done, 1 it could not start or was
// killed, 2 usage; with -exit-with that of a process.
package main

import (
	"cmp"
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
	_ "time/tzdata" // a host without zone data knows the zones of schedules all the same; its own come first

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/config"
	"github.com/freeflowuniverse/processmanager/supervisor/doctor"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
	"github.com/freeflowuniverse/processmanager/supervisor/systemd"
	"github.com/freeflowuniverse/processmanager/supervisor/version"
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
	logger := newLogger(out)
	var err error
	switch {
	case len(args) >= 4 && args[1] == holderArg:
		err = holdScope(args[2], args[3], args[4:])
	case len(args) == 5 && args[1] == attachArg:
		err = attachParent(args[2], args[3], args[4])
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
			warning(logger).Print(err)
		}
		return ended.Code
	}
	at(priorityError, logger).Print(err)
	return 1
}

// keep is the keeper: it finds and locks the places where the daemon works, and
// looks after the worker until that has ended everything.
func keep(ctx context.Context, args []string, logger *log.Logger, stderr io.Writer, flush func()) (err error) {
	told, err := parseOptions(args, os.Stdout, stderr)
	if err != nil && (told == nil || !told.UnitStopped) { // whatever the file says, a unit that is stopped leaves nobody
		return err
	}
	o := told.Options
	if o.Version {
		return version.Write(os.Stdout, "processmanager", "/proc")
	}
	if o.SecretFile != "" && o.Secret == "" && !o.Check && !o.UnitStopped { // it may be a descriptor that is closed now
		secret, err := client.GivenSecret(o.SecretFile)
		if err != nil {
			return err
		}
		o.Secret = string(secret)
	}
	terminal := startedFrom()
	if err := errors.Join(proc.CloseInherited(proc.Sockets(os.Getenv)...), proc.Prepare()); err != nil {
		return err
	}
	debug.SetGCPercent(50) // it is small, and stays there all the time
	if o.UnitStopped {
		return unitStopped(o)
	}
	if o.Check {
		if err := told.Write(os.Stdout); err != nil {
			return err
		}
		fmt.Println()
		return check(o, os.Stdout, lineedit.Columns(os.Stdout))
	}
	if err := checkKernel(); err != nil {
		return err
	}
	signals := keeper.Listen(o.ExitWith != "", terminal) // to the very end: what was begun is cleaned up
	place, err := openPlace(o, logger)
	switch {
	case errors.Is(err, cgroup.ErrNoHierarchy):
		return fmt.Errorf("%w; %s", err, doctor.MendNoHierarchy())
	case errors.Is(err, cgroup.ErrReadOnly), errors.Is(err, cgroup.ErrOutside):
		return fmt.Errorf("%w; %s", err, doctor.MendContainer)
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
	place.held, place.terminal = told.Held(), terminal
	hello, err := place.hello()
	if err != nil {
		return err
	}
	if err := client.HideSecretEnv(); err != nil {
		warning(logger).Printf("the secret stays in the environment, where this user can read it: %v", err)
	}
	if err := leaveDir(); err != nil {
		return err
	}
	if text := aboutTerminal(terminal); text != "" && o.ExitWith == "" {
		logger.Print(text)
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
	if err := o.Fill(); err != nil {
		return err
	}
	root := o.Cgroup
	if root == "" {
		root = recordedRoot(o.State)
	}
	let, wrong := accessOf(&o)
	host, asked := scopeGiver()
	c := doctor.Config{
		Proc: "/proc", Root: root, State: o.State, Runtime: o.Runtime, Socket: o.Socket, Others: let.who(), Listen: o.Listen,
	}
	if root == "" && asked {
		c.Scope = host.Group()
	}
	c.User = userManager(host, cmp.Or(root, c.Scope))
	report := doctor.Examine(c)
	// What a start would refuse, by the same functions.
	refused := func(subject string, err error) {
		if err != nil && !errors.Is(err, client.ErrNoSecret) {
			report.Findings = append(report.Findings, process.Finding{Subject: subject, Level: process.LevelProblem, Found: err.Error()})
		}
	}
	if o.Listen != "" {
		_, err := telnetDoor.resolve(o.Listen, o.AllowRemote)
		refused("listen", err)
	}
	for _, err := range lacking(o.Limits, report.Missing) {
		refused("limit", err)
	}
	if _, is := config.MetricsPath(o.Metrics); o.Metrics != "" && !is {
		_, err := metricsDoor.resolve(o.Metrics, o.AllowRemote)
		refused("metrics", err)
	}
	_, err := givenSecret(o)
	refused("secret", err)
	refused("socket", errors.Join(wrong, let.examine("socket", o.Socket, o.Runtime, o.State)))
	if err := verbs.WriteReport(w, report, width); err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("this host is not fit for a daemon with these flags")
	}
	return nil
}

// options are the values of the flags.
type options = config.Options

// parseOptions is what the daemon is told, by whoever may tell it. What is wrong with that is
// said on stderr, one line each; the rest is returned beside errUsage. Help that was asked for
// goes to stdout.
func parseOptions(args []string, stdout, stderr io.Writer) (*config.Config, error) {
	client.HideSecret(args)
	c, err := config.Read(args, os.Getenv)
	if errors.Is(err, flag.ErrHelp) {
		help(stdout)
		return c, err
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(stderr, "processmanager: %s\n", screen.Line(strings.TrimSuffix(line, "\n")))
		}
		return c, errUsage
	}
	return c, nil
}

// prepareStore does what -reset-store asks for, and refuses a store that is damaged.
func prepareStore(o *options, logger *log.Logger) error {
	if o.ResetStore {
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
