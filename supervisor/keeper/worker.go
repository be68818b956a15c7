package keeper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// LinkFD is the descriptor on which the keeper starts a worker; see Connect.
const LinkFD = 3

// program is what workers are executed from.
type program struct {
	exe   *os.File
	args  []string
	env   []string
	group *os.File // nil: that of the keeper
}

// worker is one worker process and the keeper's end of its link. It is gone when
// it has been reaped and everything that it sent has been handled.
type worker struct {
	pid     int
	started time.Duration // by proc.BootTime
	ready   bool
	failed  string // the text of FAILED
	trial   bool   // the first of a new program
	handing bool   // was told to hand over
	asked   bool   // how it is, and has not answered yet

	limit *time.Timer // when it fires the worker is killed, for it
	todo  string      // in time

	exit    *proc.Exit    // set when it is reaped
	packets <-chan packet // closed when there are no more
	drained bool          // packets is closed
	killed  bool          // for not doing something in time
	broken  error         // why reading ended; valid when drained

	conn *conn
	out  outbox
	stop chan struct{}
	wait sync.WaitGroup
}

// start executes the program as a worker, in a session of its own.
func (p program) start() (*worker, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[1])
	c, err := newConn(pair[0])
	if err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	w := &worker{conn: c, started: proc.BootTime(), stop: make(chan struct{})}
	w.pid, err = execute(p.exe, p.group, p.args, p.env, 1, 2, uintptr(pair[1]))
	if p.group != nil && errors.Is(err, unix.ENOENT) { // somebody has removed it; it is better to work elsewhere than not at all
		w.pid, err = execute(p.exe, nil, p.args, p.env, 1, 2, uintptr(pair[1]))
	}
	if err != nil {
		c.close()
		return nil, err
	}
	w.limit = time.NewTimer(0)
	w.limit.Stop()
	w.out.conn = c
	packets := make(chan packet)
	w.packets = packets
	w.wait.Go(func() { w.read(packets) })
	return w, nil
}

// read passes on all packets up to the end of the link.
func (w *worker) read(packets chan<- packet) {
	defer close(packets)
	for {
		p, err := w.conn.receive()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				w.broken = err
			}
			return
		}
		select {
		case packets <- p:
		case <-w.stop:
			p.close()
			return
		}
	}
}

// before sets how long the worker has for what it should do now, in the words of
// the log if it does not.
func (w *worker) before(limit time.Duration, todo string) {
	w.todo = todo
	w.limit.Reset(limit)
}

// end says how the worker ended, and why if that is known.
func (w *worker) end() string {
	if w.failed == "" {
		return w.exit.String()
	}
	return w.exit.String() + ": " + w.failed
}

// kill ends a worker that has not been reaped, so that its pid is still its own.
func (w *worker) kill() {
	if w.exit == nil {
		unix.Kill(w.pid, unix.SIGKILL)
	}
}

// close ends the link and waits for what served it.
func (w *worker) close() {
	close(w.stop)
	w.limit.Stop()
	w.conn.close()
	w.wait.Wait()
	w.out.close()
}

// startWorker starts a worker and sends it all that is held. Where the worker is to
// be of a program that speaks another protocol, the keeper becomes that program.
func (k *keeper) startWorker() error {
	if k.starting > 0 {
		return errStarting
	}
	p := k.program
	trial := k.upgrade != nil && k.upgrade.check == nil
	switch {
	case trial && k.shutdown:
		k.endUpgrade(errShutdown)
		return k.startWorker()
	case trial && k.upgrade.foreign:
		err := k.become(k.upgrade) // there is one, or it would not have returned
		if err == errSignal {
			return err
		}
		k.endUpgrade(err)
		return k.startWorker()
	case trial:
		p.exe = k.upgrade.exe
	case k.away:
		return k.become(nil)
	}
	w, err := p.start()
	if err != nil && trial {
		k.endUpgrade(err)
		return k.startWorker()
	}
	if err != nil {
		return err
	}
	k.worker = w
	hello := Hello{Config: k.Hello, Listeners: k.Listeners, Shutdown: k.shutdown, Upgrade: k.last}
	if trial {
		w.trial = true
		w.before(readyLimit, "has not become ready")
		hello.Upgrade.Err = "" // if it ever answers anybody, the upgrade was done
	}
	w.out.put(helloPacket(hello, len(k.runs)))
	for _, r := range k.runs {
		w.out.put(heldPacket(r))
	}
	return nil
}

// becameReady takes note of READY. It ends a trial.
func (k *keeper) becameReady(w *worker) {
	k.proven, k.failures = true, 0
	if w.trial && !w.ready {
		w.limit.Stop()
		k.endUpgrade(nil)
	}
	w.ready = true
	k.tellReady()
	k.ask()
}

// linkEnded notes that a worker will say nothing more. It is about to end; if it
// should live on without its link it is of no use.
func (k *keeper) linkEnded() {
	w := k.worker
	w.drained = true
	if w.broken != nil {
		k.Log("worker %d: %v; killing it", w.pid, w.broken)
		w.kill()
	}
	w.before(lingerLimit, "has closed its link and not ended")
}

// bury lets go of a dead worker and says whether the keeper's own work is done.
func (k *keeper) bury(w *worker) (done bool, err error) {
	w.close()
	k.worker = nil
	clear(k.helpers)
	switch {
	case k.leaving:
		return true, ErrLeft
	case k.shutdown && w.failed == "" && w.exit.Code == 0 && w.exit.Signal == 0:
		if k.code != 0 {
			return true, &EndedError{k.code}
		}
		return true, nil
	case w.trial && !w.ready:
		k.endUpgrade(fmt.Errorf("the worker of the new program was not ready: %s", w.end()))
	case w.failed != "" && !k.proven && !w.handing:
		return true, &FailedError{w.failed}
	}
	return false, nil
}

// pause returns how long to wait after the death of w.
func (k *keeper) pause(w *worker) time.Duration {
	switch {
	case w.handing:
		k.Note("worker %d has handed over", w.pid)
		return 0
	case w.trial && !w.ready:
		return 0
	case !w.ready:
		k.failures++
	}
	delay := restartDelay(k.failures, w.exit.Time-w.started)
	k.Log("worker %d has ended (%s), the next one starts in %v", w.pid, w.end(), delay)
	return delay
}
