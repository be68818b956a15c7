package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// Config is what Run needs.
type Config struct {
	// Exe is the open program that workers are executed from; argv[0] is
	// "processmanager". Replacing the file on disk changes nothing before an upgrade.
	Exe *os.File

	// Path is where an upgrade finds the next program. Empty means that there is none.
	Path string

	// Args are the arguments that make the program a worker, and Env its whole environment.
	Args, Env []string

	// Hello is handed to each worker unread. A secret belongs here, and not in Args or Env.
	Hello []byte

	// Listeners are handed to each worker, and stay open while there is none, so that
	// clients wait instead of failing. At most 252.
	Listeners []*os.File

	// Renewed tells the indices of Listeners whose descriptor has come to be another
	// socket, because somebody deleted the file of the former one. Nil: there are none.
	Renewed <-chan int

	// Passes is the name of the process that the keeper stands for, and is passed the
	// signals that mean nothing to the keeper; empty: there is none.
	Passes string

	// Terminal is what the signals of a terminal mean, where they are not passed on.
	Terminal Terminal

	// Signals is what Listen gave, if the caller listens from before Run until after
	// it; nil: Run listens by itself.
	Signals chan os.Signal

	// Former are runs that a former keeper has started. Nothing but their Output is
	// looked at: it is held, and handed to each worker with an ID of zero, until Drop.
	Former []Held

	// Locks are held and never looked at.
	Locks []*os.File

	// Group is the cgroup that workers are started in, where it is there; nil: the
	// keeper's own.
	Group *os.File

	// Host is who has started the keeper, if that wants to know more than when it ends.
	Host Host

	// Log is told of deaths and restarts, one line each. Nil means nobody is. It must
	// not wait: the keeper does nothing else meanwhile.
	Log func(format string, args ...any)

	// Note is Log for what is as it should be. Nil: Log is told.
	Note func(format string, args ...any)

	// Flush is called before this process replaces its program, for what Log has not
	// written yet. It may wait for a second. Nil: there is nothing to do.
	Flush func()

	resumed *state // from Resume
}

// ErrKilled is what Run returns after a second signal, or SIGQUIT of a terminal. The worker has been sent
// SIGKILL; trees may still be there.
var ErrKilled = errors.New("killed by a signal before shutdown was done")

// ErrLingers is what Run returns after a shutdown whose worker SIGKILL does not end.
var ErrLingers = errors.New("shutdown is done, but the worker cannot end: its disk hangs, perhaps; until it has ended no other daemon can use the store")

// EndedError is what Run returns after the end of all there was where a worker has given an
// exit code for that, other than 0.
type EndedError struct{ Code int }

func (e *EndedError) Error() string { return fmt.Sprintf("ended with exit code %d", e.Code) }

// FailedError is the text with which a worker said that it can't do its job.
type FailedError struct{ Text string }

func (e *FailedError) Error() string { return e.Text }

// keeper is the state of Run, which is its one goroutine.
type keeper struct {
	Config
	program program
	runs    map[RunID]*run
	leaders map[int]*run           // by pid: those not yet reaped
	helpers map[int]*startedHelper // by pid, of the worker that is there: those not yet reaped

	unsettled map[*proc.Starting]bool // starts with settings that are under way,
	starts    sync.WaitGroup          // the goroutines that wait for them,
	calls     chan func()             // and have the loop call these,
	ended     chan struct{}           // or end with the keeper
	starting  int                     // how many of them are of runs
	postponed bool                    // a worker is to be started when they are decided

	signals chan os.Signal

	worker   *worker // nil between two
	failures int     // deaths in a row before READY
	proven   bool    // a worker was ready once
	shutdown bool
	code     int       // for Run's caller, from END
	deciding bool      // Host.Stays is being asked
	leaving  bool      // trees are left to the next keeper
	asked    os.Signal // the first for it
	askedAt  time.Time

	upgrade *upgrade // nil: none under way
	last    Upgrade  // how the last one went
	away    bool     // program speaks another protocol: going back to it is an exec
}

// Run keeps a worker alive until it exits with status 0 after a shutdown. It
// becomes the subreaper of all that its children leave behind, waits for every
// child of this process, and takes SIGTERM, SIGINT, SIGHUP and SIGCHLD: call it once, in a
// process that does nothing else, after proc.Prepare.
//
// SIGTERM or SIGINT starts the shutdown, as do the end of ctx and a worker's Link.End, of which
// an *EndedError tells; a second signal
// kills the worker at once and gives ErrKilled. Where Host.Stays says so, SIGTERM ends the
// keeper and its worker alone, and gives ErrLeft. SIGHUP begins an upgrade, unless Terminal says
// something else. A *FailedError
// is what a worker said that gave up before any was ready. Other errors say that
// the first worker could not be started at all.
func Run(ctx context.Context, c Config) error {
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	if c.Note == nil {
		c.Note = c.Log
	}
	if c.Flush == nil {
		c.Flush = func() {}
	}
	if len(c.Listeners) >= maxFiles || len(c.Hello) >= maxBody {
		return fmt.Errorf("%d listeners, %d bytes of configuration: %w", len(c.Listeners), len(c.Hello), unix.EMSGSIZE)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_SET_CHILD_SUBREAPER", err)
	}
	exe, err := aboveLink(c.Exe)
	if err != nil {
		return err
	}
	defer exe.Close()
	k := &keeper{
		Config:    c,
		program:   program{exe, c.Args, c.Env, c.Group},
		runs:      make(map[RunID]*run),
		leaders:   make(map[int]*run),
		helpers:   make(map[int]*startedHelper),
		unsettled: make(map[*proc.Starting]bool),
		signals:   c.Signals,
		calls:     make(chan func()),
		ended:     make(chan struct{}),
	}
	for _, h := range c.Former {
		if !affordable(h.Output) {
			h.Output.Close()
			h.Output = nil
		}
		k.runs[h.Run] = &run{RunID: h.Run, output: h.Output}
	}
	takeName()
	if c.resumed != nil {
		c.Exe.Close()
		k.resume(c.resumed)
	}
	defer runtime.KeepAlive(c.Locks)
	beSmall()
	return k.loop(ctx)
}

// beSmall tunes the runtime for a process that lives long and does little, in one
// goroutine: garbage is collected when there are hundreds of kilobytes, not megabytes.
// Two processors are the fewest that do not cost time: an only one is taken away from
// every system call longer than 20 µs, such as the wait for an exec, and given to
// another thread, which finds nothing to do and has to give it back.
func beSmall() {
	runtime.GOMAXPROCS(2)
	debug.SetGCPercent(10)
	debug.FreeOSMemory()
}

// aboveLink returns a descriptor of f that the worker's own will not replace
// between the clone and the exec.
func aboveLink(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, LinkFD+1)
	if err != nil {
		return nil, fmt.Errorf("duplicate %s: %w", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func (k *keeper) loop(ctx context.Context) error {
	children := make(chan os.Signal, 1) // one is enough: reap takes all there are
	signal.Notify(children, unix.SIGCHLD)
	defer signal.Stop(children)
	if k.signals == nil {
		k.signals = Listen(k.Passes != "", k.Terminal)
		defer signal.Stop(k.signals)
	}

	var asks <-chan time.Time
	if k.Host.Ask > 0 {
		ticker := time.NewTicker(k.Host.Ask)
		defer ticker.Stop()
		asks = ticker.C
	}
	restart := time.NewTimer(0)
	if k.resumed == nil {
		restart.Stop()
		if err := k.startWorker(); err != nil {
			return err
		}
	}
	defer k.abandon()
	k.reap(restart) // who ended while nobody listened
	cancelled := ctx.Done()
	for {
		var packets <-chan packet
		var workerLimit, checkLimit <-chan time.Time
		if w := k.worker; w != nil {
			workerLimit = w.limit.C
			if !w.drained {
				packets = w.packets
			}
		}
		if u := k.upgrade; u != nil && u.check != nil {
			checkLimit = u.check.limit.C
		}
		select {
		case p, ok := <-packets:
			if ok {
				k.handle(p)
			} else {
				k.linkEnded()
			}
		case <-workerLimit:
			w := k.worker
			switch {
			case !w.killed:
				k.Log("worker %d %s in time; killing it", w.pid, w.todo)
				w.kill()
				w.killed = true
				w.before(killLimit, "")
			case k.shutdown:
				return ErrLingers
			default:
				k.Log("worker %d does not end on SIGKILL: its disk hangs, perhaps", w.pid)
			}
		case <-checkLimit:
			k.upgrade.check.late = true
			k.upgrade.check.kill()
		case i := <-k.Renewed:
			if w := k.worker; w != nil {
				w.out.put(listenPacket(Renewed{i, k.Listeners[i]}))
			}
		case call := <-k.calls:
			call()
		case <-asks:
			k.ask()
		case <-children:
			k.reap(restart)
		case s := <-k.signals:
			if k.Passes != "" && slices.Contains(passed, s) {
				k.pass(s)
				continue
			}
			if s == unix.SIGHUP && !k.hangUp() {
				continue
			}
			if s == unix.SIGQUIT {
				return ErrKilled
			}
			if k.ending() && s == k.asked && time.Since(k.askedAt) < sameSignal {
				continue
			}
			if k.ending() {
				return ErrKilled
			}
			k.asked, k.askedAt = s, time.Now()
			k.end(s, restart)
		case <-cancelled:
			cancelled = nil
			if !k.ending() {
				k.beginShutdown(restart)
			}
		case <-restart.C:
			if k.leaving {
				return ErrLeft
			}
			switch err := k.startWorker(); {
			case err == errSignal:
				restart.Reset(0)
			case err == errStarting:
				k.postponed = true
			case err != nil:
				k.failures++
				delay := restartDelay(k.failures, 0)
				k.Log("the worker could not be started: %v; next try in %v", err, delay)
				restart.Reset(delay)
			}
		}
		if w := k.worker; w != nil && w.exit != nil && w.drained {
			done, err := k.bury(w)
			if done {
				return err
			}
			restart.Reset(k.pause(w))
		}
		if k.postponed && k.starting == 0 {
			k.postponed = false
			restart.Reset(0)
		}
	}
}

// handle carries out what a worker, perhaps dead by now, asked for.
func (k *keeper) handle(p packet) {
	defer p.close()
	d := decoder{data: p.body}
	var err error
	switch p.kind {
	case kindSpawn:
		err = k.spawn(&p)
	case kindDrop:
		if id := d.run(); d.end() == nil {
			k.drop(id)
		}
		err = d.end()
	case kindKill:
		if r := k.runs[d.run()]; r != nil && k.leaders[r.id.PID] == r {
			unix.Kill(r.id.PID, unix.SIGKILL)
		}
		err = d.end()
	case kindKeep:
		err = k.keep(&p)
	case kindHelp:
		err = k.help(&p)
	case kindReady:
		k.becameReady(k.worker)
	case kindUpgrade:
		k.beginUpgrade(k.worker)
	case kindWell:
		text := d.string()
		if err = d.end(); err == nil {
			k.worker.asked = false
			if k.Host.Answered != nil {
				k.Host.Answered(text)
			}
		}
	case kindEnd:
		code := d.uint()
		if err = d.end(); err == nil {
			k.code = int(code)
			if !k.ending() {
				k.beginShutdown(nil) // there is a worker
			}
		}
	case kindFailed:
		k.worker.failed = d.string()
		err = d.end()
	default:
		err = errMalformed
	}
	if err != nil {
		k.Log("worker %d: %v: %v; killing it", k.worker.pid, p.kind, err)
		k.worker.kill()
	}
}

// reap waits for every child that has ended: the worker, the check of an upgrade,
// leaders, and what trees have left behind.
func (k *keeper) reap(restart *time.Timer) {
	for {
		var status unix.WaitStatus
		var usage unix.Rusage
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, &usage)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return
		}
		exit := proc.DecodeExit(status, &usage, proc.BootTime())
		if w := k.worker; w != nil && pid == w.pid && w.exit == nil {
			w.exit = &exit
			w.conn.shutdown() // whoever else may hold the other end
			continue
		}
		if u := k.upgrade; u != nil && u.check != nil && pid == u.check.pid {
			k.checked(exit, restart)
			continue
		}
		r := k.leaders[pid]
		if r == nil {
			k.reapHelper(pid, exit)
			continue
		}
		delete(k.leaders, pid)
		r.exit = &exit
		switch {
		case r.starting == nil:
			k.tellExit(r)
		case r.err != nil:
			k.decided(r)
		}
	}
}

// beginShutdown passes the wish on, to the next worker if there is none.
func (k *keeper) beginShutdown(restart *time.Timer) {
	k.shutdown = true
	k.tell(PhaseStopping)
	if k.worker != nil {
		k.worker.out.put(packet{kind: kindShutdown})
	} else {
		restart.Reset(0)
	}
}

// abandon kills the worker, if there is one. It does not wait for it: a disk that
// hangs can make that long.
func (k *keeper) abandon() {
	k.cancelStarts()
	if k.worker != nil {
		k.worker.kill()
		k.worker.close()
	}
	if u := k.upgrade; u != nil && u.check != nil {
		u.check.kill()
	}
}
