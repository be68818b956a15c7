package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// RunID names one run of one managed process.
type RunID struct {
	Name string
	Run  uint64
}

func (r RunID) String() string { return fmt.Sprintf("%s.%d", r.Name, r.Run) }

// ExitEvent says that the leader of a run has ended.
type ExitEvent struct {
	Run  RunID
	Exit proc.Exit
}

// Renewed is a listener that takes the place of one of Hello's.
type Renewed struct {
	Index    int
	Listener *os.File
}

var (
	// ErrHeld is the answer to a Spawn of a run that the keeper holds already.
	ErrHeld = errors.New("the keeper holds this run already")

	// ErrKeeperGone is what every call gives when the keeper has died.
	ErrKeeperGone = errors.New("the keeper is gone")
)

// Link is the worker's end. Its methods may be called from several goroutines.
type Link struct {
	conn     *conn
	exits    chan ExitEvent
	shutdown chan struct{}
	handOver chan struct{}
	renewed  chan Renewed
	asked    chan struct{}
	done     chan struct{}
	closing  chan struct{}
	close    sync.Once
	wait     sync.WaitGroup

	mu      sync.Mutex
	pending map[RunID]chan outcome // nil when the keeper is gone
	helpers map[uint64]chan helped // by serial
	serial  uint64                 // of the last helper
	upgrade chan upgradeAnswer     // nil: nobody waits for one
}

type upgradeAnswer struct {
	number uint64
	err    error
}

// Connect takes over fd, on which the keeper started this process, and waits for
// the keeper's HELLO. It must be called once, and soon: until then nothing that
// the keeper has to say is read.
func Connect(fd int) (*Link, Hello, error) {
	c, err := newConn(fd)
	if err != nil {
		return nil, Hello{}, err
	}
	hello, err := receiveHello(c)
	if err != nil {
		hello.closeFiles()
		c.close()
		return nil, Hello{}, fmt.Errorf("connect to the keeper: %w", err)
	}
	l := &Link{
		conn:     c,
		exits:    make(chan ExitEvent),
		shutdown: make(chan struct{}),
		handOver: make(chan struct{}),
		renewed:  make(chan Renewed, 1),
		asked:    make(chan struct{}, 1),
		done:     make(chan struct{}),
		closing:  make(chan struct{}),
		pending:  make(map[RunID]chan outcome),
		helpers:  make(map[uint64]chan helped),
	}
	if hello.Shutdown {
		close(l.shutdown)
	}
	takeName()
	ended := make(chan ExitEvent)
	l.wait.Go(func() { l.deliver(ended) })
	l.wait.Go(func() { l.receive(ended, hello.Shutdown) })
	return l, hello, nil
}

// Spawn has the keeper start c as the leader of run and waits for the answer. The
// files stay the caller's; the keeper keeps descriptors of c.Output and of notify, which
// may be nil, until Drop.
//
// An error is a *proc.SpawnError, as if proc.Spawn had been called here, or ErrHeld,
// ErrKeeperGone or the context's. The keeper holds the run after a *proc.SpawnError too,
// until Drop. The end of ctx ends the wait and not the start: what has become of the
// run is then told by Exits or by the next worker's Hello, and Kill and Drop name it.
func (l *Link) Spawn(ctx context.Context, run RunID, c proc.Command, notify *os.File) (proc.ID, error) {
	answer := make(chan outcome, 1)
	if err := l.expect(run, answer); err != nil {
		return proc.ID{}, err
	}
	if err := l.send(spawnPacket(run, c, notify)); err != nil {
		l.forget(run)
		return proc.ID{}, fmt.Errorf("ask the keeper to start %v: %w", run, err)
	}
	select {
	case o, ok := <-answer:
		if !ok {
			return proc.ID{}, ErrKeeperGone
		}
		return o.id, o.err
	case <-ctx.Done():
		return proc.ID{}, ctx.Err()
	}
}

func (l *Link) expect(run RunID, answer chan outcome) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending == nil {
		return ErrKeeperGone
	}
	if l.pending[run] != nil {
		return ErrHeld
	}
	l.pending[run] = answer
	return nil
}

func (l *Link) forget(run RunID) chan outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	answer := l.pending[run]
	delete(l.pending, run)
	return answer
}

// Drop lets the keeper forget run: its exit and its Output descriptor. Call it when
// the result is stored. A leader that still runs is reaped without a word later.
func (l *Link) Drop(run RunID) error { return l.send(aboutRun(kindDrop, run)) }

// Keep has the keeper hold another notify socket for a run that it holds, in the place of
// the one that it has. The file stays the caller's.
func (l *Link) Keep(run RunID, notify *os.File) error { return l.send(keepPacket(run, notify)) }

// Kill has the keeper send SIGKILL to the leader of run. It is the keeper's child
// and not yet waited for, so that no other process can have its pid. Where the run
// has ended or is not held nothing happens.
func (l *Link) Kill(run RunID) error { return l.send(aboutRun(kindKill, run)) }

// Ready tells the keeper that this worker does its job. One that dies before is
// started again more and more slowly.
func (l *Link) Ready() error { return l.send(packet{kind: kindReady}) }

// Failed tells the keeper why this worker can't do its job; it should end
// afterwards. If no worker has been ready yet, Run returns the text instead of
// starting another.
func (l *Link) Failed(text string) error {
	var e encoder
	e.string(text)
	return l.send(packet{kind: kindFailed, body: e})
}

// Asked says that the keeper's host wants to know how this worker is: answer with Well, if
// it does its job.
func (l *Link) Asked() <-chan struct{} { return l.asked }

// Well says that this worker does its job, and what with, in one line.
func (l *Link) Well(text string) error {
	var e encoder
	e.string(text)
	return l.send(packet{kind: kindWell, body: e})
}

// End asks for the end of all there is, as if the keeper had been sent SIGTERM, and gives the
// exit code of that. The last one counts.
func (l *Link) End(code int) error {
	var e encoder
	e.uint(uint64(code))
	return l.send(packet{kind: kindEnd, body: e})
}

// Upgrade asks for the program that is now on disk. The error says why it is not even
// tried, as a *RefusedError, and then nothing has changed. Otherwise HandOver is
// closed, and a later worker's Hello tells how the upgrade of that number went.
func (l *Link) Upgrade(ctx context.Context) (number uint64, err error) {
	answer := make(chan upgradeAnswer, 1)
	l.mu.Lock()
	switch {
	case l.pending == nil:
		err = ErrKeeperGone
	case l.upgrade != nil:
		err = &RefusedError{errUpgrade.Error()}
	default:
		l.upgrade = answer
	}
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if err := l.send(packet{kind: kindUpgrade}); err != nil {
		l.answerUpgrade(0, err)
		return 0, err
	}
	select {
	case a := <-answer:
		return a.number, a.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (l *Link) answerUpgrade(number uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.upgrade != nil {
		l.upgrade <- upgradeAnswer{number, err}
		l.upgrade = nil
	}
}

// HandOver is closed when another worker is to take this one's place: answer what is
// in flight, for at most HandOverTime, and exit with a status other than 0, without
// touching a tree. Status 0 would say that a shutdown is done.
func (l *Link) HandOver() <-chan struct{} { return l.handOver }

// Renewed gives the listeners that take the place of others from now on. They are the
// caller's to close. One that waits here makes way for the next.
func (l *Link) Renewed() <-chan Renewed { return l.renewed }

// renew passes on a listener.
func (l *Link) renew(r Renewed) {
	select {
	case former := <-l.renewed:
		former.Listener.Close()
	default:
	}
	l.renewed <- r // nobody else sends
}

// shortageLimit is how long a request waits for a shortage of the kernel to end.
const shortageLimit = 5 * time.Second

func (l *Link) send(p packet) error {
	err := l.conn.send(p)
	for limit := time.Now().Add(shortageLimit); passing(err) && time.Now().Before(limit); {
		time.Sleep(time.Millisecond)
		err = l.conn.send(p)
	}
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, os.ErrClosed) {
		return ErrKeeperGone
	}
	return err
}

// Exits tells of leaders that ended since Connect, in their order, once each. There
// is no limit to how many can wait here, so the keeper never waits for the reader.
// An exit comes after the answer to its Spawn was given to the caller's goroutine,
// which may not have run yet. The channel is closed after Done and the last exit, or by Close.
func (l *Link) Exits() <-chan ExitEvent { return l.exits }

// Shutdown is closed when the keeper was asked to end: end all runs, then exit
// with status 0. A worker that ends otherwise is started again to finish it.
func (l *Link) Shutdown() <-chan struct{} { return l.shutdown }

// Done is closed when the keeper has died, or after Close. The worker must then end
// without touching a tree, for another may be about to adopt them.
func (l *Link) Done() <-chan struct{} { return l.done }

// Close ends the link, as the end of this process would, and waits for its goroutines.
func (l *Link) Close() {
	l.close.Do(func() {
		close(l.closing)
		l.conn.close()
	})
	l.wait.Wait()
}

// receive is the one reader of the socket. It never waits for a user of the Link.
func (l *Link) receive(ended chan<- ExitEvent, shutdown bool) {
	defer close(ended)
	defer l.gone()
	handing := false
	for {
		p, err := l.conn.receive()
		if err != nil {
			return
		}
		d := decoder{data: p.body}
		switch p.kind {
		case kindSpawned:
			run, o := d.run(), d.outcome()
			if answer := l.forget(run); answer != nil && d.end() == nil {
				answer <- o
			}
		case kindHelped:
			if serial, h, err := parseHelped(&p); err == nil {
				l.helped(serial, h)
			}
		case kindExited:
			e := ExitEvent{d.run(), d.exit()}
			if d.end() == nil {
				ended <- e
			}
		case kindShutdown:
			if !shutdown {
				shutdown = true
				close(l.shutdown)
			}
		case kindRefused:
			if text := d.string(); d.end() == nil {
				l.answerUpgrade(0, &RefusedError{text})
			}
		case kindHandOver:
			if number := d.uint(); d.end() == nil && !handing {
				handing = true
				close(l.handOver)
				l.answerUpgrade(number, nil)
			}
		case kindAsk:
			select {
			case l.asked <- struct{}{}:
			default:
			}
		case kindListen:
			if r, err := parseListen(&p); err == nil {
				l.renew(r)
			} else if r.Listener != nil {
				r.Listener.Close()
			}
		}
		p.close()
	}
}

// gone ends every wait for the keeper.
func (l *Link) gone() {
	l.answerUpgrade(0, ErrKeeperGone)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, answer := range l.pending {
		close(answer)
	}
	for _, answer := range l.helpers {
		close(answer)
	}
	l.pending, l.helpers = nil, nil
	close(l.done)
}

// deliver passes on exits, keeping as many as the reader of Exits leaves.
func (l *Link) deliver(ended <-chan ExitEvent) {
	defer close(l.exits)
	var queue []ExitEvent
	for ended != nil || len(queue) > 0 {
		var out chan<- ExitEvent
		var first ExitEvent
		if len(queue) > 0 {
			out, first = l.exits, queue[0]
		}
		select {
		case e, ok := <-ended:
			if !ok {
				ended = nil
				continue
			}
			queue = append(queue, e)
		case out <- first:
			queue = queue[1:]
		case <-l.closing:
			for range ended { // let receive end
			}
			return
		}
	}
}
