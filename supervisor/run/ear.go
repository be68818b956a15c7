package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/notify"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// notifyEnviron tells a run where its socket is, and how often it must feed its watchdog.
// There is no WATCHDOG_PID: the main process is a shell, and those that feed are its children.
func notifyEnviron(path string, p process.Probing) []string {
	env := []string{"NOTIFY_SOCKET=" + path}
	if p.Watchdog > 0 {
		env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(p.Watchdog.Microseconds(), 10))
	}
	return env
}

// A run is heard so many times a second. What it sends beyond that waits in the socket, and
// then it waits itself.
const (
	hearings     = 100
	hearingsTime = time.Second
)

// ear listens at the socket of a run. Its goroutine hands one message at a time to the
// owner's, and takes it out of the socket when that has dealt with it.
type ear struct {
	id       keeper.RunID
	host     *Host
	owner    Owner
	group    Group
	uid      int
	path     string
	file     fileID // at path
	receiver *notify.Receiver
	stop     chan struct{}
	once     sync.Once // closes it
	told     map[string]bool
}

// listen begins to listen at a socket, which stays the caller's.
func (r *Run) listen(socket *os.File) error {
	receiver, err := notify.Open(socket)
	if err != nil {
		return err
	}
	e := &ear{
		id: r.ID, host: r.host, owner: r.owner, group: r.group, uid: r.says.UID, receiver: receiver,
		path: r.says.Path, file: fileAt(r.says.Path), stop: make(chan struct{}), told: map[string]bool{},
	}
	if r.says.ear != nil { // there may be something in its socket
		r.says.former = append(r.says.former, r.says.ear)
	}
	r.says.ear = e
	r.host.Sockets.follow(e)
	go e.hear()
	return nil
}

// deaf ends the listening.
func (r *Run) deaf() {
	for _, e := range append(r.says.former, r.says.ear) {
		if e != nil {
			r.host.Sockets.unfollow(e)
			e.close()
		}
	}
}

// unnamed is when the socket may have lost its name.
func (r *Run) unnamed() {
	e := r.says.ear
	if e == nil || e.isNamed() || r.machine.Phase >= lifecycle.Draining {
		return
	}
	if r.listenAgain(nil) {
		r.host.Sockets.unfollow(e)
		r.host.Log.Printf("%v: its notify socket %s was not there any more: it was made again", r.ID, e.path)
	}
}

// listenAgain listens to an adopted run, at the socket that the keeper holds. Where it holds
// none, because it has not started the run, another takes its place: what was in the former
// one is lost.
func (r *Run) listenAgain(socket *os.File) (done bool) {
	if r.says.Path == "" {
		if socket != nil {
			socket.Close()
		}
		return false
	}
	err, made := error(nil), socket == nil
	if made {
		err = RetryPassing(func() (err error) {
			socket, err = r.host.Sockets.again(r.says.Path, r.says.UID)
			return err
		})
	}
	if err == nil {
		err = RetryPassing(func() error { return r.listen(socket) })
	}
	if err == nil && made { // behind listen, which changes its mode for a moment
		err = r.host.Keeper.Keep(r.ID, socket)
	}
	if err != nil {
		r.host.Log.Printf("%v: what it says by sd_notify is not heard: %v", r.ID, err)
	}
	if socket != nil {
		socket.Close()
	}
	return err == nil
}

// fileID tells a file from others that have been in its place; zero: there is none.
type fileID struct{ dev, ino uint64 }

func fileAt(path string) fileID {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return fileID{}
	}
	return fileID{st.Dev, st.Ino}
}

// isNamed reports whether the socket is where the run looks for it.
func (e *ear) isNamed() bool { return e.file != fileID{} && e.file == fileAt(e.path) }

// look tells the owner when the socket has lost its name.
func (e *ear) look() {
	if !e.isNamed() {
		e.owner.Tell(Event{Run: e.id.Run, kind: eventUnnamed})
	}
}

func (e *ear) close() {
	e.once.Do(func() {
		close(e.stop)
		e.receiver.Close()
	})
}

// waits reports whether the run has sent something that was not taken yet.
func (e *ear) waits() bool { return e.receiver.Waits() }

// hear listens until close.
func (e *ear) hear() {
	heard, since := 0, e.host.Clock.Now()
	for e.hearOne() {
		if heard++; heard < hearings {
			continue
		}
		pause := since + hearingsTime - e.host.Clock.Now()
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-e.stop:
				return
			}
		}
		heard, since = 0, e.host.Clock.Now()
	}
}

// messages are buffers for those that are being dealt with. Most runs are silent mostly.
var messages = sync.Pool{New: func() any { return new([notify.MaxSize + 1]byte) }}

// hearOne waits for a message and deals with it. It is false after close.
func (e *ear) hearOne() bool {
	if errors.Is(e.receiver.Wait(), os.ErrClosed) {
		return false
	}
	buf := messages.Get().(*[notify.MaxSize + 1]byte)
	defer messages.Put(buf)
	data, from, err := e.receiver.Peek(buf[:])
	switch {
	case errors.Is(err, os.ErrClosed):
		return false
	case err != nil && !errors.Is(err, notify.ErrTooLong):
		e.say("read", "%v", err)
	case !e.isOwn(from):
		e.say("sender", "pid %d of user %d is none of its processes", from.PID, from.UID)
	case err != nil:
		e.say("length", "%v", err)
	default:
		if !e.pass(data) {
			return false
		}
	}
	return !errors.Is(e.receiver.Next(), os.ErrClosed)
}

// pass has the owner deal with a message, and is false when nobody does any more.
func (e *ear) pass(data []byte) bool {
	m, err := notify.Parse(data)
	if err != nil {
		e.say("form", "%v", err)
		return true
	}
	dealt := make(chan struct{})
	e.owner.Tell(Event{Run: e.id.Run, kind: eventSaid, said: &saying{m, dealt}})
	select {
	case <-dealt:
		return true
	case <-e.stop:
		return false
	}
}

// isOwn reports whether a process of the run's tree is the sender: by its group while it
// lives, and by its user when it has ended.
func (e *ear) isOwn(from notify.Sender) bool {
	if from.PID == 0 { // outside our pid namespace
		return false
	}
	own := false
	err := RetryPassing(func() (err error) {
		own, err = e.group.Holds(from.PID)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return from.UID == e.uid
	}
	return err == nil && own
}

// say writes to the log, once of each kind, that something was not heard.
func (e *ear) say(kind, format string, args ...any) {
	if !e.told[kind] {
		e.told[kind] = true
		e.host.Log.Printf("%v: a message by sd_notify is ignored, as others like it will be: %s", e.id, fmt.Sprintf(format, args...))
	}
}
