package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// Config is what Run needs.
type Config struct {
	// Exe is the open program that workers are executed from; argv[0] is
	// "processmanager". Replacing the file on disk changes nothing.
	Exe *os.File

	// Args are the arguments that make the program a worker, and Env its whole environment.
	Args, Env []string

	// Hello is handed to each worker unread. A secret belongs here, and not in Args or Env.
	Hello []byte

	// Listeners are handed to each worker, and stay open while there is none, so that
	// clients wait instead of failing. At most 252.
	Listeners []*os.File

	// Locks are held and never looked at.
	Locks []*os.File

	// Log is told of deaths and restarts, one line each. Nil means nobody is.
	Log func(format string, args ...any)
}

// ErrKilled is what Run returns after a second signal. Trees may still be there.
var ErrKilled = errors.New("killed by a second signal before shutdown was done")

// FailedError is the text with which a worker said that it can't do its job.
type FailedError struct{ Text string }

func (e *FailedError) Error() string { return e.Text }

// run is what the keeper knows of one run.
type run struct {
	RunID
	outcome
	output *os.File
	exit   *proc.Exit // nil while the leader runs
}

// keeper is the state of Run, which is its one goroutine.
type keeper struct {
	Config
	program program
	runs    map[RunID]*run
	leaders map[int]*run // by pid: those not yet reaped

	worker   *worker // nil between two
	failures int     // deaths in a row before READY
	proven   bool    // a worker was ready once
	shutdown bool
}

// Run keeps a worker alive until it exits with status 0 after a shutdown. It
// becomes the subreaper of all that its children leave behind, waits for every
// child of this process, and takes SIGTERM, SIGINT, SIGHUP and SIGCHLD: call it once, in a
// process that does nothing else, after proc.Prepare.
//
// SIGTERM or SIGINT starts the shutdown, as does the end of ctx; a second signal
// kills the worker at once and gives ErrKilled. SIGHUP is ignored. A *FailedError
// is what a worker said that gave up before any was ready. Other errors say that
// the first worker could not be started at all.
func Run(ctx context.Context, c Config) error {
	if c.Log == nil {
		c.Log = func(string, ...any) {}
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
		Config:  c,
		program: program{exe, c.Args, c.Env},
		runs:    make(map[RunID]*run),
		leaders: make(map[int]*run),
	}
	defer runtime.KeepAlive(c.Locks)
	beSmall()
	return k.loop(ctx)
}

// beSmall tunes the runtime for a process that lives long and does little, in one
// goroutine: one processor has one set of caches and wakes no second thread for
// nothing, and garbage is collected when there are hundreds of kilobytes, not megabytes.
func beSmall() {
	runtime.GOMAXPROCS(1)
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
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	defer signal.Stop(signals)

	if err := k.startWorker(); err != nil {
		return err
	}
	defer k.abandon()
	restart := time.NewTimer(0)
	restart.Stop()
	cancelled := ctx.Done()
	for {
		var packets <-chan packet
		if k.worker != nil && !k.worker.drained {
			packets = k.worker.packets
		}
		select {
		case p, ok := <-packets:
			if ok {
				k.handle(p)
			} else {
				k.linkEnded()
			}
		case <-children:
			k.reap()
		case s := <-signals:
			if s == unix.SIGHUP {
				continue
			}
			if k.shutdown {
				return ErrKilled
			}
			k.beginShutdown(restart)
		case <-cancelled:
			cancelled = nil
			if !k.shutdown {
				k.beginShutdown(restart)
			}
		case <-restart.C:
			if err := k.startWorker(); err != nil {
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
	}
}

// startWorker starts a worker and sends it all that is held.
func (k *keeper) startWorker() error {
	w, err := k.program.start()
	if err != nil {
		return err
	}
	k.worker = w
	w.out.put(helloPacket(k.Hello, k.shutdown, len(k.runs), k.Listeners))
	for _, r := range k.runs {
		w.out.put(heldPacket(r))
	}
	return nil
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
	case kindReady:
		k.worker.ready, k.proven, k.failures = true, true, 0
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

// spawn starts a run, unless it is held, and answers. An error is a packet that
// makes no sense.
func (k *keeper) spawn(p *packet) error {
	id, c, err := parseSpawn(p)
	if c.Group != nil {
		defer c.Group.Close()
	}
	malformed, held := errors.Is(err, errMalformed), k.runs[id] != nil
	if (malformed || held) && c.Output != nil {
		c.Output.Close()
	}
	switch {
	case malformed:
		return err
	case held:
		k.answer(id, outcome{err: ErrHeld})
		return nil
	}
	r := &run{RunID: id, output: c.Output}
	if err != nil { // descriptors did not arrive
		r.err = &proc.SpawnError{Step: proc.StepPrepare, Err: err}
	} else {
		r.id, r.err = proc.Spawn(c)
	}
	k.runs[id] = r
	if r.err == nil {
		k.leaders[r.id.PID] = r
	}
	k.answer(id, r.outcome)
	return nil
}

func (k *keeper) answer(id RunID, o outcome) {
	var e encoder
	e.run(id)
	e.outcome(o)
	k.worker.out.put(packet{kind: kindSpawned, body: e})
}

// drop forgets a run. If its leader still runs, reap will find nobody for it.
func (k *keeper) drop(id RunID) {
	r := k.runs[id]
	if r == nil {
		return
	}
	delete(k.runs, id)
	if k.leaders[r.id.PID] == r {
		delete(k.leaders, r.id.PID)
	}
	if r.output != nil {
		r.output.Close()
	}
}

// reap waits for every child that has ended: the worker, leaders, and what trees
// have left behind.
func (k *keeper) reap() {
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
		r := k.leaders[pid]
		if r == nil {
			continue
		}
		delete(k.leaders, pid)
		r.exit = &exit
		if w := k.worker; w != nil {
			var e encoder
			e.run(r.RunID)
			e.exit(exit)
			w.out.put(packet{kind: kindExited, body: e})
		}
	}
}

// linkEnded notes that a worker will say nothing more. If it should live on
// without its link it is of no use.
func (k *keeper) linkEnded() {
	w := k.worker
	w.drained = true
	if w.broken != nil {
		k.Log("worker %d: %v", w.pid, w.broken)
	}
	w.kill()
}

// beginShutdown passes the wish on, to the next worker if there is none.
func (k *keeper) beginShutdown(restart *time.Timer) {
	k.shutdown = true
	if k.worker != nil {
		k.worker.out.put(packet{kind: kindShutdown})
	} else {
		restart.Reset(0)
	}
}

// bury lets go of a dead worker and says whether the keeper's own work is done.
func (k *keeper) bury(w *worker) (done bool, err error) {
	w.close()
	k.worker = nil
	switch {
	case k.shutdown && w.exit.Code == 0 && w.exit.Signal == 0:
		return true, nil
	case w.failed != "" && !k.proven:
		return true, &FailedError{w.failed}
	}
	return false, nil
}

// abandon kills the worker, if there is one. It does not wait for it: a disk that
// hangs can make that long.
func (k *keeper) abandon() {
	if k.worker != nil {
		k.worker.kill()
		k.worker.close()
	}
}

// pause returns how long to wait after the death of w.
func (k *keeper) pause(w *worker) time.Duration {
	if !w.ready {
		k.failures++
	}
	delay := restartDelay(k.failures, w.exit.Time-w.started)
	reason := w.exit.String()
	if w.failed != "" {
		reason += ": " + w.failed
	}
	k.Log("worker %d has ended (%s), the next one starts in %v", w.pid, reason, delay)
	return delay
}
