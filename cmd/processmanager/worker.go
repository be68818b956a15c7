package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/config"
	"github.com/freeflowuniverse/processmanager/supervisor/doctor"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/metrics"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
	"github.com/freeflowuniverse/processmanager/supervisor/top"
	"github.com/freeflowuniverse/processmanager/supervisor/top/tty"
	"github.com/freeflowuniverse/processmanager/supervisor/version"
	"github.com/freeflowuniverse/processmanager/telnet"
	"github.com/freeflowuniverse/processmanager/telnet/lineedit"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// hello is what the worker is told by the keeper's command line. The keeper does
// not read it.
type hello struct {
	places
	Runs   string // the group that holds those of the runs
	Dir    string // working directory
	Secret []byte
	Idle   time.Duration  // as telnet.Server has it
	Limits process.Limits // of all runs together
	Held   config.Held    // for the configuration file, which is read again
	Keeper takeover

	StandsFor string `json:",omitempty"` // the process with which the daemon ends
}

// mistakes are the lines of what is wrong with a configuration.
func mistakes(err error) []string {
	wrong, _ := errors.AsType[config.Mistakes](err)
	return wrong
}

// doctorConfig is where the doctor looks.
func (h *hello) doctorConfig() doctor.Config {
	return doctor.Config{
		Proc: "/proc", Root: h.Cgroup, Runs: h.Runs, User: userManager(hostOf(h.Cgroup), h.Cgroup), State: h.State, Runtime: h.Runtime, Socket: h.Socket, Others: h.Keeper.Access.who(), Listen: h.Listen,
	}
}

// examine says what this host offers, and whether the next daemon can be told what it needs.
func (h *hello) examine() process.Report {
	r := doctor.Examine(h.doctorConfig())
	_, err := h.Held.Reread(new(options))
	for _, line := range mistakes(err) {
		r.Findings = append(r.Findings, process.Finding{
			Subject: "configuration", Level: process.LevelProblem, Found: line, Mend: "processmanager -check shows it until it is right",
		})
	}
	return r
}

// reread follows the configuration file where a worker can.
func (h *hello) reread(logger *log.Logger) {
	o := options{Places: h.places, Idle: h.Idle, Limits: h.Limits}
	said, err := h.Held.Reread(&o)
	for _, line := range said {
		logger.Print(line)
	}
	for _, line := range mistakes(err) {
		warning(logger).Printf("%s; the configuration stays as it was, and a restart is refused", line)
	}
	h.Definitions, h.Idle, h.Limits = o.Definitions, o.Idle, o.Limits
}

// definitions is the folder of definitions. A keeper of a former version does not know it.
func (h *hello) definitions() string { return cmp.Or(h.Definitions, config.DefinitionsDir(h.State)) }

func (p *place) hello() ([]byte, error) {
	dir, err := os.Getwd()
	if err != nil { // it was deleted
		dir = "/"
	}
	if err := config.CheckText(dir); err != nil {
		return nil, err
	}
	return json.Marshal(hello{places: p.places, Runs: p.groups.runs().Path(), Dir: dir, Secret: p.secret, Idle: p.idle, Limits: p.limits, Held: p.held, Keeper: p.takeover(), StandsFor: p.standsFor})
}

// work is the worker: the supervisor and the wire. When the keeper dies it ends
// without touching a tree.
func work(logger *log.Logger, flush func()) error {
	if err := errors.Join(proc.CloseInherited(keeper.LinkFD), proc.Prepare(), leaveDir()); err != nil {
		return err
	}
	link, greeting, err := keeper.Connect(keeper.LinkFD)
	if err != nil {
		return fmt.Errorf("%s is for the daemon itself: %w", workerArg, err)
	}
	// The link stays open to the end: a worker without one is killed.
	if greeting.Lost > 0 {
		warning(logger).Printf("too few open files are allowed (RLIMIT_NOFILE) to take the output of %d runs from the keeper; each is read as soon as there is room, and status says which is not: raise the limit", greeting.Lost)
	}
	if err := schedule.CheckLocal(); err != nil {
		warning(logger).Print(err)
	}
	sup, server, scrapes, handed, err := open(link, greeting, logger)
	if err != nil {
		return link.Failed(err.Error())
	}
	go func() {
		for x := range link.Exits() {
			sup.Exited(x.Run, x.Exit)
		}
	}()
	ctx, shutdown := context.WithCancel(context.Background())
	defer shutdown()
	listeners := make([]net.Listener, len(greeting.Listeners))
	for i, f := range greeting.Listeners {
		if listeners[i], err = openListener(f); err != nil {
			return link.Failed(err.Error())
		}
	}
	if err := link.Ready(); err != nil { // nobody is answered before
		return err
	}
	sup.TookOver()
	giveBackMemory(memoryRest)
	go func() {
		for {
			select {
			case <-link.Asked():
				link.Well(sup.Summary())
			case <-link.Done():
				return
			}
		}
	}()
	var serving sync.WaitGroup
	serve := func(i int, l net.Listener) {
		if l == nil {
			return
		}
		serves := server.Serve
		if i == scrapes.index {
			serves = scrapes.Serve
		}
		serving.Go(func() {
			if err := serves(ctx, l); err != nil && !errors.Is(err, net.ErrClosed) { // another has its place
				warning(logger).Print(err)
			}
		})
	}
	for i, l := range listeners {
		serve(i, l)
	}
	ended := make(chan error, 2)
	for r, ok := nextListener(link); ok; r, ok = nextListener(link) {
		l, err := openListener(r.Listener)
		if err != nil {
			warning(logger).Print(err)
			continue
		}
		if former := listeners[r.Index]; former != nil {
			former.Close() // its connections go on
		}
		listeners[r.Index] = l
		serve(r.Index, l)
	}
	select {
	case <-link.Shutdown():
		refuseNew(listeners, handed)
		shutdown()
		go func() {
			err := sup.Close()
			serving.Wait()
			ended <- err
		}()
	case <-link.HandOver():
		shutdown()
		served := make(chan struct{})
		go func() {
			serving.Wait()
			close(served)
		}()
		go func() {
			select {
			case <-served:
			case <-time.After(keeper.HandOverTime):
			}
			if err := sup.HandOver(); err != nil {
				warning(logger).Printf("the last lines of what has no log are lost: %v", err)
			}
			ended <- errHandedOver
		}()
	case <-link.Done():
	}
	select {
	case err := <-ended:
		if errors.Is(err, supervisor.ErrHangs) {
			link.Close() // or the keeper would wait for as long as the disk hangs
		}
		return err
	case <-link.Done():
		warning(logger).Print("the keeper is gone: trees live on until the next start")
		flush()
		os.Exit(1) // and does not return: nobody must be told of a shutdown that is none
		return nil
	}
}

// nextListener waits for a listener that takes the place of another. ok is false when
// this worker is to end.
func nextListener(link *keeper.Link) (r keeper.Renewed, ok bool) {
	select {
	case r = <-link.Renewed(): // before the end: it is refused with the others
		return r, true
	default:
	}
	select {
	case r = <-link.Renewed():
		return r, true
	case <-link.Shutdown():
	case <-link.HandOver():
	case <-link.Done():
	}
	return r, false
}

// openListener takes f over. It is nil where nobody listens on the socket: it could not
// be given its place yet.
func openListener(f *os.File) (net.Listener, error) {
	defer f.Close()
	if listens, err := isListening(f); err != nil || !listens {
		return nil, err
	}
	return net.FileListener(f)
}

// refuseNew has the kernel refuse connections on sockets that the keeper holds open:
// during a shutdown they would wait for an answer that never comes. In the first, if it was
// handed over by systemd, they wait for the next daemon.
func refuseNew(listeners []net.Listener, handed bool) {
	for i, l := range listeners {
		if l == nil || i == 0 && handed {
			continue
		}
		raw, err := l.(syscall.Conn).SyscallConn()
		if err == nil {
			raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RD) })
		}
	}
}

// errHandedOver is how a worker ends that another is to follow. It is not said.
var errHandedOver = errors.New("handed over")

// open makes the supervisor and the server of what the keeper handed over. handed says that
// the first listener is systemd's.
func open(link *keeper.Link, greeting keeper.Hello, logger *log.Logger) (_ *supervisor.Supervisor, _ *telnet.Server, _ scrapes, handed bool, err error) {
	var h hello
	if err := json.Unmarshal(greeting.Config, &h); err != nil {
		return nil, nil, scrapes{}, false, err
	}
	h.reread(logger)
	hierarchy, err := cgroup.Find("/proc")
	if err != nil {
		return nil, nil, scrapes{}, false, err
	}
	sup, err := supervisor.Open(supervisor.Config{
		State:   h.State,
		Runtime: h.Runtime,
		Groups:  hierarchy.Group(h.Runs),
		Keeper:  link,
		Held:    greeting.Held,
		Ending:  greeting.Shutdown,
		Proc:    "/proc",
		Etc:     "/etc",
		Folder:  h.definitions(),
		Dir:     h.Dir,
		Environ: os.Environ(),
		Upgrade: func(ctx context.Context, number uint64) (process.Upgrade, error) {
			return upgrade(ctx, link, greeting.Upgrade, number)
		},
		Doctor: h.examine,
		Lack:   func(controller string) (why, mend string) { return doctor.Lack(h.doctorConfig(), controller) },
		Limits: h.Limits,
		Log:    warning(logger),
		Note:   logger,

		StandsFor: h.StandsFor,
		End:       func(code int) { link.End(code) }, // a keeper that is gone has ended all

		Reached: crasher(),
	})
	if err != nil {
		return nil, nil, scrapes{}, false, err
	}
	answered := new(atomic.Uint64)
	return sup, &telnet.Server{
		Secret:  h.Secret,
		Handler: handler{sup, answered},
		Idle:    h.Idle,
		Drain:   24 * time.Hour, // requests end when their trees do
		Log:     warning(logger).Printf,
		Edit: lineedit.Serve(func(line string, pos int) []string {
			return verbs.Complete(line, pos, sup.Names)
		}, views(sup)),
	}, scrapes{metrics.New(sup, version.Number(), answered.Load, warning(logger)), scrapeIndex(h.places)}, h.Keeper.Handed, nil
}

// scrapes answers those who ask for metrics.
type scrapes struct {
	*metrics.Server
	index int // of its listener; -1: there is none
}

// upgrade begins an upgrade, or says how one ended: the keeper told the worker that
// came after it.
func upgrade(ctx context.Context, link *keeper.Link, last keeper.Upgrade, number uint64) (u process.Upgrade, err error) {
	switch {
	case number == 0:
		if number, err = link.Upgrade(ctx); err != nil {
			return u, process.Errorf(process.CodeUpgrade, "nothing was changed: %v", err)
		}
		return process.Upgrade{Number: number}, nil
	case number > last.Number:
		select {
		case <-link.HandOver(): // by this worker: the next one knows how it ended
			return process.Upgrade{Number: number}, nil
		default:
		}
		if last.Number == 0 {
			return u, process.Errorf(process.CodeInvalid, "there was no upgrade %d: there was none yet", number)
		}
		return u, process.Errorf(process.CodeInvalid, "there was no upgrade %d: %d was the last one", number, last.Number)
	case number < last.Number:
		return u, process.Errorf(process.CodeInvalid, "upgrade %d is long past: %d was the last one", number, last.Number)
	case last.Err != "":
		return u, process.Errorf(process.CodeUpgrade, "the old program goes on: %s", last.Err)
	}
	return process.Upgrade{Number: number, Done: true}, nil
}

// views are what fills the screen of a person's session.
func views(m verbs.Manager) func(*telnet.Session) map[string]lineedit.View {
	return func(s *telnet.Session) map[string]lineedit.View {
		return map[string]lineedit.View{"top": func(ctx context.Context, t screen.Terminal) error {
			return tty.Watch(from(ctx, s.Info()), m, t, top.Options{Title: top.Title()})
		}}
	}
}

// from is ctx with who is at the other end.
func from(ctx context.Context, session telnet.SessionInfo) context.Context {
	caller := process.Caller{UID: session.UID}
	if session.TCP {
		caller.Over = process.OverTCP
	}
	return process.WithCaller(ctx, caller)
}

// handler carries out what arrives on the wire.
type handler struct {
	manager  verbs.Manager
	answered *atomic.Uint64
}

func (h handler) Handle(ctx context.Context, script string, session telnet.SessionInfo) telnet.Reply {
	h.answered.Add(1)
	answer := verbs.RunText(from(ctx, session), h.manager, script)
	answer.Width = session.Width
	r := reply(answer)
	if body := r.Body; session.Interactive { // a person, who may have asked for a log
		r.Body = func(w io.Writer) error {
			shown := screen.NewWriter(w)
			return errors.Join(body(shown), shown.Flush())
		}
	}
	return r
}

func (h handler) Error(script, code, message string) telnet.Reply {
	return reply(verbs.Refuse(script, code, message))
}

func reply(a verbs.Answer) telnet.Reply {
	return telnet.Reply{JobID: a.JobID, Patient: a.Patient(), Body: func(w io.Writer) error { return a.Write(w) }}
}
