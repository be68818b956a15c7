package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

func TestMethodsReachTheManager(t *testing.T) {
	m := newMemory()
	m.output = []byte("**ENDRESULT**\n\xff\x00\r\n no line end")
	c := dial(t, daemon(t, m))
	ctx := inTime(t)
	spec := process.Spec{
		Name: "a", Command: "echo 'a\n!!process.stop name:a\n\n# b' \\", Logging: process.Logging{Log: true}, Ending: process.Ending{Deadline: 1500 * time.Millisecond, StopSignal: 2, StopTimeout: new(time.Duration)},
		Schedule: process.Schedule{Cron: "@every 10s"}, JobID: "e41",
	}
	want := process.NewStatus(spec, process.Running)
	want.PID, want.Number = 42, 1
	if got, err := c.Start(ctx, spec); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("start: %v\ngot  %+v\nwant %+v", err, got, want)
	}
	if got, err := c.Status(ctx, "a"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("status: %v\ngot  %+v\nwant %+v", err, got, want)
	}
	if got, err := c.List(ctx); err != nil || !reflect.DeepEqual(got, []process.Status{want}) {
		t.Errorf("list: %+v, %v", got, err)
	}
	if got, err := c.Restart(ctx, "a", "e42"); err != nil || got.Run.JobID != "e42" || got.Number != 2 {
		t.Errorf("restart: %+v, %v", got, err)
	}
	if got, err := c.Restart(ctx, "a", ""); err != nil || got.Run.JobID != "e42" || got.Number != 3 {
		t.Errorf("restart: %+v, %v", got, err)
	}
	if got, err := c.Stop(ctx, "a"); err != nil || got.State != process.Stopped {
		t.Errorf("stop: %+v, %v", got, err)
	}
	if got, err := c.LogLines(ctx, "a", 0); err != nil || string(got) != string(m.output) {
		t.Errorf("log: %q, %v", got, err)
	}
	if got, err := c.Set(ctx, "a", process.Setting{Field: "stop_timeout", Value: "3"}, process.Setting{Field: "cron", Value: ""}); err != nil || got.Grace() != 3*time.Second || got.Cron != "" {
		t.Errorf("set: %+v, %v", got, err)
	}
	if got, err := c.Pause(ctx, "a"); err != nil || got.State != process.Paused {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := c.Resume(ctx, "a"); err != nil || got.State != process.Running {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := c.Signal(ctx, "a", 1, true); err != nil || got.Signalled != 1 {
		t.Errorf("signal: %+v, %v", got, err)
	}
	if got, err := c.Start(ctx, process.Spec{Name: "a", JobID: "e43"}); err != nil || got.Run.JobID != "e43" {
		t.Errorf("start again: %+v, %v", got, err)
	}
	if got, err := c.StartSpec(ctx, process.Spec{Name: "a", Command: "b"}, process.How{Replace: true}); err != nil || got.Command != "b" {
		t.Errorf("replace: %+v, %v", got, err)
	}
	if got, err := c.Runs(ctx, process.RunQuery{Name: process.Selection{"a"}, Limit: 7}); err != nil {
		t.Error(err)
	} else if all := slices.Collect(got); len(all) != 1 || all[0].Name != "a" || all[0].Number != 7 {
		t.Errorf("runs: %+v", all)
	}
	if got, err := c.Ledger(ctx, process.Selection{"a"}, three.Add(time.Nanosecond)); err != nil || len(got) != 1 || got[0].Name != "a" || got[0].Count != 2 {
		t.Errorf("ledger: %+v, %v", got, err)
	}
	if got, err := c.Next(ctx, process.Selection{"a"}, 7); err != nil || len(got) != 7 || got[0].Name != "a" || !got[6].Start.Equal(three.AddDate(0, 0, 6)) {
		t.Errorf("next: %+v, %v", got, err)
	}
	if got, err := c.Next(ctx, nil, 1); err != nil || len(got) != 1 {
		t.Errorf("next of all: %+v, %v", got, err)
	}
	if got, err := c.SchedulePause(ctx, "a"); err != nil || !got.SchedulePaused {
		t.Errorf("schedule_pause: %+v, %v", got, err)
	}
	if got, err := c.ScheduleResume(ctx, "a"); err != nil || got.SchedulePaused {
		t.Errorf("schedule_resume: %+v, %v", got, err)
	}
	if got, err := c.Why(ctx, "a"); err != nil || got.Name != "a" || got.Says == "" || len(got.Next) == 0 {
		t.Errorf("why: %+v, %v", got, err)
	}
	if got, err := c.Reclaim(ctx, process.Selection{"a"}, 1<<20); err != nil || len(got) != 1 || got[0] != (process.Reclaimed{Name: "a", Asked: 1 << 20, Before: 3 << 20, After: 2 << 20, All: true}) {
		t.Errorf("reclaim: %+v, %v", got, err)
	}
	if got, err := c.Reclaim(ctx, process.Selection{"nobody", "a"}, 1<<20); err != nil || len(got) != 2 || !errors.Is(got[0].Err, process.ErrNotFound) || !got[1].All {
		t.Errorf("reclaim: %+v, %v", got, err)
	}
	if got, err := c.Tree(ctx, process.Selection{"a"}); err != nil || len(got) != 1 || got[0].Name != "a" || len(got[0].Runs) != 1 || got[0].Runs[0].Processes[0].Command != "\x1b\n" {
		t.Errorf("tree: %+v, %v", got, err)
	}
	if got, err := c.Tree(ctx, process.Selection{"nobody"}); err != nil || len(got) != 1 || !errors.Is(got[0].Err, process.ErrNotFound) {
		t.Errorf("tree: %+v, %v", got, err)
	}
	if got, err := c.Tree(ctx, process.Selection{"a", "nobody"}); err != nil || len(got) != 2 || got[0].Err != nil || !errors.Is(got[1].Err, process.ErrNotFound) {
		t.Errorf("tree: %+v, %v", got, err)
	}
	if got, err := c.SkipNext(ctx, "a"); err != nil || !got.SkipTime.Equal(three) {
		t.Errorf("skip_next: %+v, %v", got, err)
	}
	if got, err := c.Do(ctx, process.Selection{"a", "b"}, process.Delete{}); err != nil || len(got) != 2 || got[1].Name != "b" || got[1].Err != nil {
		t.Errorf("delete: %+v, %v", got, err)
	}
	if err := c.Delete(ctx, "a"); err != nil {
		t.Error(err)
	}
	if got, err := c.List(ctx); err != nil || len(got) != 0 {
		t.Errorf("list: %+v, %v", got, err)
	}
}

func TestEveryCodeCrossesTheWire(t *testing.T) {
	m := newMemory()
	c := dial(t, daemon(t, m))
	for _, want := range []*process.Error{
		process.ErrInvalid, process.ErrSyntax, process.ErrNotFound, process.ErrExists, process.ErrStart, process.ErrStuck,
		process.ErrSuperseded, process.ErrShuttingDown, process.ErrTooLong, process.ErrStore, process.ErrInternal,
	} {
		m.mu.Lock()
		m.err = fmt.Errorf("for \"reasons\": %w", want)
		m.mu.Unlock()
		_, err := c.Status(inTime(t), "a")
		if !errors.Is(err, want) || err.Error() != m.err.Error() {
			t.Errorf("%s arrives as %v", want.Code, err)
		}
	}
}

// What cannot be asked for is an error of its kind too, whatever bytes it has.
func TestWhatCannotBeIsInvalidOrSyntax(t *testing.T) {
	m := newMemory()
	c := dial(t, daemon(t, m))
	for _, spec := range []process.Spec{
		{}, {Name: "-", Command: "true"}, {Name: "a", Command: " "}, {Name: "a", Command: "\x00"}, {Name: "a", Command: "\xff"},
		{Name: "a", Command: "b", Schedule: process.Schedule{Cron: "\x00"}}, {Name: "a", Command: "b", Schedule: process.Schedule{Cron: "'\xff"}}, {Name: "a\n", Command: "b"},
		{Name: "a", Command: "b", Ending: process.Ending{Deadline: -1}}, {Name: "a", Logging: process.Logging{Log: true}}, {Name: "a", Command: "b", Ending: process.Ending{StopSignal: 65}},
		{Name: "a", Command: "b", JobID: "\n"}, {Name: "a", Command: strings.Repeat("'", process.MaxCommand+1)},
	} {
		_, err := c.Start(inTime(t), spec)
		if !errors.Is(err, process.ErrInvalid) && !errors.Is(err, process.ErrSyntax) {
			t.Errorf("%.60q: got %v", fmt.Sprint(spec), err)
		}
	}
	if n := m.count("start"); n != 0 {
		t.Errorf("%d were started", n)
	}
	if _, err := c.List(inTime(t)); err != nil {
		t.Errorf("the connection is of no more use: %v", err)
	}
}

func TestTooLongIsAnError(t *testing.T) {
	c := dial(t, daemon(t, newMemory()))
	_, err := c.Start(inTime(t), process.Spec{Name: "a", Command: "b", Schedule: process.Schedule{Cron: strings.Repeat("x ", telnet.MaxPending)}})
	if !errors.Is(err, process.ErrTooLong) {
		t.Errorf("got %.200v", err)
	}
}

func TestDeadlinesAreKept(t *testing.T) {
	m := newMemory()
	m.hold = make(chan struct{})
	c := dial(t, daemon(t, m))
	defer close(m.hold)
	ctx, cancel := context.WithCancel(inTime(t))
	go func() { <-m.held; cancel() }()
	if _, err := c.Stop(ctx, "a"); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrConnectionLost) {
		t.Errorf("got %v", err)
	}
	// The next call goes by a new connection: on the old one it would wait.
	if _, err := c.List(inTime(t)); err != nil {
		t.Error(err)
	}
	past, cancel := context.WithTimeout(inTime(t), -1)
	defer cancel()
	if _, err := c.List(past); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Stop(past, "a"); !errors.Is(err, context.DeadlineExceeded) || m.count("stop") != 1 {
		t.Errorf("got %v, %d stops", err, m.count("stop"))
	}
}

// A caller that gives up while it waits for its turn costs nobody else anything.
func TestGivingUpDisturbsNobodyElse(t *testing.T) {
	m := newMemory()
	m.hold = make(chan struct{})
	c := dial(t, daemon(t, m))
	if _, err := c.Start(inTime(t), process.Spec{Name: "a", Command: "b"}); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error)
	go func() {
		_, err := c.Stop(inTime(t), "a")
		stopped <- err
	}()
	<-m.held
	ctx, cancel := context.WithTimeout(inTime(t), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Status(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(m.hold)
	if err := <-stopped; err != nil {
		t.Errorf("the other one got %v", err)
	}
}

func TestCloseEndsCallsUnderWay(t *testing.T) {
	m := newMemory()
	m.hold = make(chan struct{})
	c := dial(t, daemon(t, m))
	defer close(m.hold)
	stopped := make(chan error)
	go func() {
		_, err := c.Stop(inTime(t), "a")
		stopped <- err
	}()
	<-m.held
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-stopped; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := c.List(inTime(t)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	m := newMemory()
	c := dial(t, daemon(t, m))
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			name := fmt.Sprintf("p%d", i)
			if _, err := c.Start(inTime(t), process.Spec{Name: name, Command: "true"}); err != nil {
				t.Error(err)
			}
			if s, err := c.Status(inTime(t), name); err != nil || s.Name != name {
				t.Errorf("got %s, %v", s.Name, err)
			}
		})
	}
	all.Wait()
	if list, err := c.List(inTime(t)); err != nil || len(list) != 50 {
		t.Errorf("got %d, %v", len(list), err)
	}
}

func TestANewDaemonIsFoundByTheNextRead(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "pm.sock")
	stop, err := serve(socket, newMemory())
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, socket)
	stop()
	if _, err := c.List(inTime(t)); !errors.Is(err, client.ErrNoDaemon) {
		t.Errorf("without a daemon: got %v", err)
	}
	if stop, err = serve(socket, newMemory()); err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := c.List(inTime(t)); err != nil {
		t.Errorf("with a new one: %v", err)
	}
}

func TestANewDaemonIsFoundByTheNextChange(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "pm.sock")
	stop, err := serve(socket, newMemory())
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, socket)
	stop()
	m := newMemory()
	if stop, err = serve(socket, m); err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := c.Start(inTime(t), process.Spec{Name: "a", Command: "b"}); err != nil || m.count("start") != 1 {
		t.Errorf("%v, started %d times", err, m.count("start"))
	}
}

// rude takes the secret and hangs up at each request, after as many bytes of an
// answer as it is told.
type rude struct {
	requests atomic.Int32
	answer   string
}

func (r *rude) listen(t *testing.T) (socket string) {
	socket = filepath.Join(t.TempDir(), "pm.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.serve(conn) })
		}
	})
	return socket
}

func (r *rude) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	io.WriteString(conn, " ** Welcome: you are not authenticated, provide secret.\n")
	in.Scan()
	io.WriteString(conn, " ** Welcome: you are authenticated.\n")
	for in.Scan() {
		if in.Text() == "" {
			r.requests.Add(1)
			io.WriteString(conn, r.answer)
			return
		}
	}
}

func TestReadsAreRepeatedAndChangesNever(t *testing.T) {
	for _, answer := range []string{"", "**RESULT**", "**RESULT** \n{\"name\":\"a\"}\n", "**RESULT** \n{\"name\":\"a\"}\n**ENDRES"} {
		r := &rude{answer: answer}
		c := dial(t, r.listen(t))
		ctx := inTime(t)
		for name, call := range map[string]struct {
			do   func() error
			want int32
		}{
			"start":   {func() error { _, err := c.Start(ctx, process.Spec{Name: "a", Command: "b"}); return err }, 1},
			"stop":    {func() error { _, err := c.Stop(ctx, "a"); return err }, 1},
			"restart": {func() error { _, err := c.Restart(ctx, "a", ""); return err }, 1},
			"delete":  {func() error { return c.Delete(ctx, "a") }, 1},
			"status":  {func() error { _, err := c.Status(ctx, "a"); return err }, 3},
			"list":    {func() error { _, err := c.List(ctx); return err }, 3},
			"log":     {func() error { _, err := c.LogLines(ctx, "a", 1); return err }, 3},
		} {
			r.requests.Store(0)
			if err := call.do(); !errors.Is(err, client.ErrConnectionLost) {
				t.Errorf("%s, %q: got %v", name, answer, err)
			}
			if got := r.requests.Load(); got != call.want {
				t.Errorf("%s, %q: asked %d times, want %d", name, answer, got, call.want)
			}
		}
	}
}

func TestAnAnswerThatIsNotOursIsAnError(t *testing.T) {
	for _, payload := range []string{"", "hello\n", "[1]\n", "{\"status\":\"flying\"}\n"} {
		r := &rude{answer: "**RESULT** \n" + payload + "**ENDRESULT**\n"}
		c := dial(t, r.listen(t))
		if s, err := c.Status(inTime(t), "a"); err == nil {
			t.Errorf("%q: got %+v", payload, s)
		}
	}
}

// A daemon that takes the connection and says nothing keeps neither the second
// caller beyond its time, nor Close.
func TestASilentDaemonHoldsNobody(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "pm.sock")
	stop, err := serve(socket, newMemory())
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, socket)
	stop()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first := make(chan error)
	go func() {
		_, err := c.List(inTime(t))
		first <- err
	}()
	conn, err := l.Accept() // the first caller now waits for the banner
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(inTime(t), 10*time.Millisecond)
	defer cancel()
	if _, err := c.List(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second caller: %v", err)
	}
	c.Close()
	if err := <-first; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the first caller: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/stale.sock", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, socket := range []string{dir + "/pm.sock", dir + "/no/pm.sock", dir + "/stale.sock"} {
		_, err := client.Dial(inTime(t), client.Config{Socket: socket, Secret: []byte("x")})
		if !errors.Is(err, client.ErrNoDaemon) || !strings.Contains(err.Error(), socket) {
			t.Errorf("got %v", err)
		}
	}
	t.Setenv(client.SocketEnv, dir+"/stale.sock")
	_, err = client.Dial(inTime(t), client.Config{Secret: []byte("x")})
	if !errors.Is(err, client.ErrNoDaemon) || !strings.Contains(err.Error(), dir+"/stale.sock, which PROCESSMANAGER_SOCKET names") {
		t.Errorf("got %v", err)
	}
}

func TestAWrongSecretIsNotAuthenticated(t *testing.T) {
	socket := daemon(t, newMemory())
	for _, wrong := range []string{"wrong", "", "two\nlines", "open sesame "} {
		_, err := client.Dial(inTime(t), client.Config{Socket: socket, Secret: []byte(wrong)})
		if !errors.Is(err, client.ErrNotAuthenticated) || strings.Contains(err.Error(), "wrong\"") {
			t.Errorf("%q: got %v", wrong, err)
		}
	}
	forgetSecrets(t)
	_, err := client.Dial(inTime(t), client.Config{Socket: socket})
	if !errors.Is(err, client.ErrNotAuthenticated) || !errors.Is(err, client.ErrNoSecret) {
		t.Errorf("without any: got %v", err)
	}
}

func TestSecretsAreSentToNobodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to listen as another user")
	}
	socket := filepath.Join(t.TempDir(), "pm.sock")
	l, err := listenAs(65534, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan string)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			got <- err.Error()
			return
		}
		defer conn.Close()
		io.WriteString(conn, " ** Welcome: you are not authenticated, provide secret.\n")
		data, _ := io.ReadAll(conn)
		got <- string(data)
	}()
	_, err = client.Dial(inTime(t), client.Config{Socket: socket, Secret: []byte(secret)})
	if !errors.Is(err, telnet.ErrUntrustedServer) {
		t.Errorf("got %v", err)
	}
	if data := <-got; data != "" {
		t.Errorf("it was sent %q", data)
	}
}

// listenAs has another user listen on a socket: the kernel notes who calls
// listen(2). Only one thread becomes that user, and it ends.
func listenAs(uid int, socket string) (l net.Listener, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever: the thread ends with us
		var fd int
		if fd, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		f := os.NewFile(uintptr(fd), socket)
		defer f.Close()
		if err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: socket}); err != nil {
			return
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), ^uintptr(0)); errno != 0 {
			err = errno
			return
		}
		if err = syscall.Listen(fd, 1); err == nil {
			l, err = net.FileListener(f)
		}
	}()
	<-done
	return l, err
}

// Whoever finds the queue of the socket full waits for a place.
func TestAFullQueueIsNotTheLackOfADaemon(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "pm.sock")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), socket)
	defer f.Close()
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: socket}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	var queue []net.Conn
	for {
		conn, err := net.Dial("unix", socket)
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		queue = append(queue, conn)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := client.Dial(short, client.Config{Socket: socket, Secret: []byte(secret)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the queue is full: %v", err)
	}
	for _, conn := range queue {
		conn.Close()
	}
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go (&telnet.Server{Secret: []byte(secret), Handler: handler{newMemory()}}).Serve(ctx, l)
	dial(t, socket)
}

// Events come once each, also when the daemon is replaced between two of them.
func TestEventsGoOnWhereTheyWereLeft(t *testing.T) {
	m := newMemory()
	c := dial(t, daemon(t, m))
	var seen []uint64
	tell := func(e process.Event) error {
		seen = append(seen, e.Seq)
		return nil
	}
	if err := c.Events(inTime(t), process.EventQuery{Since: 1}, tell); err != nil || !slices.Equal(seen, []uint64{2, 3}) {
		t.Errorf("got %v, %v", seen, err)
	}
	seen, m.err = nil, process.ErrShuttingDown // behind the last
	ctx, enough := context.WithCancel(inTime(t))
	err := c.Events(ctx, process.EventQuery{Follow: true}, func(e process.Event) error {
		if e.Seq == 3 {
			defer enough()
		}
		return tell(e)
	})
	if err == nil || ctx.Err() == nil || !slices.Equal(seen, []uint64{1, 2, 3}) {
		t.Errorf("followed: got %v, %v", seen, err)
	}
	own := errors.New("enough")
	if err := c.Events(inTime(t), process.EventQuery{}, func(process.Event) error { return own }); !errors.Is(err, own) {
		t.Errorf("got %v", err)
	}
}

// Events are an iterator, too; who has enough leaves it, and an error is the last that it gives.
func TestEventsAreALoop(t *testing.T) {
	m := newMemory()
	m.err = process.Errorf(process.CodeStore, "no disk")
	pm, err := client.Dial(t.Context(), client.Config{Socket: daemon(t, m), Secret: []byte("open sesame")})
	if err != nil {
		t.Fatal(err)
	}
	defer pm.Close()
	for e, err := range pm.EventsSince(t.Context(), 1) {
		if err != nil || e.Seq != 2 {
			t.Errorf("%+v, %v", e, err)
		}
		break
	}
	var got []uint64
	var last error
	for e, err := range pm.EventsSince(t.Context(), 0) {
		got, last = append(got, e.Seq), err
	}
	if !slices.Equal(got, []uint64{1, 2, 3, 0}) || !errors.Is(last, process.ErrStore) {
		t.Errorf("%v, %v", got, last)
	}
}
