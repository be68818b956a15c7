package notify

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also a sender that is another process.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "send" {
		if err := send(os.Args[2], os.Args[3]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func send(path, text string, files ...*os.File) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var oob []byte
	for _, f := range files {
		oob = append(oob, unix.UnixRights(int(f.Fd()))...)
	}
	return unix.Sendmsg(fd, []byte(text), oob, &unix.SockaddrUnix{Name: path}, 0)
}

func mustSend(t *testing.T, path, text string, files ...*os.File) {
	t.Helper()
	if err := send(path, text, files...); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T) (path string, socket *os.File, r *Receiver) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pm-notify-") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "1")
	if socket, err = Listen(path, os.Geteuid()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	if r, err = Open(socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return path, socket, r
}

func peek(t *testing.T, r *Receiver, want string) Sender {
	t.Helper()
	var buf [MaxSize]byte
	data, from, err := r.Peek(buf[:])
	if err != nil || string(data) != want {
		t.Fatalf("%q, %v; want %q", data, err, want)
	}
	return from
}

func TestDatagramStaysUntilItIsDealtWith(t *testing.T) {
	path, socket, r := listen(t)
	mustSend(t, path, "one")
	mustSend(t, path, "two")
	for range 3 {
		if from := peek(t, r, "one"); from != (Sender{os.Getpid(), os.Geteuid()}) {
			t.Errorf("%+v", from)
		}
	}
	r.Close() // the worker dies
	r, err := Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	peek(t, r, "one")
	if err := r.Next(); err != nil {
		t.Fatal(err)
	}
	peek(t, r, "two")
	if !r.Waits() {
		t.Error("two is not there")
	}
	r.Next()
	if r.Waits() {
		t.Error("something is there")
	}
	if err := r.Next(); !errors.Is(err, unix.EAGAIN) {
		t.Error(err)
	}
}

func TestPeekWaits(t *testing.T) {
	path, socket, r := listen(t)
	got := make(chan string)
	wait := func() {
		var buf [16]byte
		data, _, err := r.Peek(buf[:])
		if err != nil {
			got <- err.Error()
			return
		}
		r.Next()
		got <- string(data)
	}
	go wait()
	mustSend(t, path, "hello")
	if text := <-got; text != "hello" {
		t.Error(text)
	}
	go wait()
	for range 100 { // most of them while it waits
		if r.Waits() {
			t.Error("something is there")
		}
		runtime.Gosched()
	}
	r.Close()
	if text := <-got; text != os.ErrClosed.Error() {
		t.Error(text)
	}
	// Others that hold it would be woken if it did not block.
	if flags, err := unix.FcntlInt(socket.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}

func TestSenderIsWhoTheKernelSays(t *testing.T) {
	path, _, r := listen(t)
	cmd := exec.Command("/proc/self/exe", "send", path, "hello")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if from := peek(t, r, "hello"); from.PID != cmd.Process.Pid || from.UID != os.Geteuid() {
		t.Errorf("%+v, want pid %d", from, cmd.Process.Pid)
	}
}

func TestLongDatagramIsCutAndSaidToBe(t *testing.T) {
	path, _, r := listen(t)
	mustSend(t, path, strings.Repeat("x", 100))
	var buf [10]byte
	if data, from, err := r.Peek(buf[:]); !errors.Is(err, ErrTooLong) || len(data) != 10 || from.PID != os.Getpid() {
		t.Errorf("%q %+v %v", data, from, err)
	}
	r.Next()
	mustSend(t, path, "next")
	peek(t, r, "next")
}

// Descriptors that come with datagrams are never opened here, and are closed when the
// datagram has been dealt with: that answers a barrier.
func TestBarrierIsAnsweredByNext(t *testing.T) {
	path, _, r := listen(t)
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	writer := os.NewFile(uintptr(ends[1]), "barrier")
	mustSend(t, path, "READY=1")
	mustSend(t, path, "BARRIER=1", writer)
	writer.Close()
	closed := func() bool {
		_, err := unix.Read(ends[0], make([]byte, 1))
		return err == nil
	}
	before := descriptors(t)
	peek(t, r, "READY=1")
	r.Next()
	for range 3 {
		peek(t, r, "BARRIER=1")
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors, before %d", n, before)
	}
	if closed() {
		t.Error("the barrier is answered before it was dealt with")
	}
	r.Next()
	if !closed() {
		t.Error("the barrier is not answered")
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors, before %d", n, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestSocketIsOfOneUser(t *testing.T) {
	path, _, _ := listen(t)
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	if _, err := Listen(path, os.Geteuid()); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if _, err := Listen(filepath.Dir(path)+"/none/1", os.Geteuid()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Listen("/"+strings.Repeat("x", maxPath), os.Geteuid()); err == nil || !strings.Contains(err.Error(), "at most 107 bytes") {
		t.Error(err)
	}
	socket, number, err := ListenIn(filepath.Dir(path), 1, os.Geteuid())
	if err != nil || number != 2 {
		t.Fatal(number, err)
	}
	socket.Close()
	if os.Geteuid() != 0 {
		t.Skip("the rest takes root")
	}
	const other = 12345
	other1, err := ListenAnew(path, other)
	if err != nil {
		t.Fatal(err)
	}
	defer other1.Close()
	if info, _ := os.Lstat(path); info.Sys().(*syscall.Stat_t).Uid != other || info.Mode().Perm() != 0o600 {
		t.Errorf("%+v", info.Sys())
	}
}

func TestSocketIsMadeAnewInItsPlace(t *testing.T) {
	path, socket, r := listen(t)
	r.Close()
	socket.Close()
	if err := send(path, "x"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Error(err)
	}
	socket, err := ListenAnew(path, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if r, err = Open(socket); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	mustSend(t, path, "again")
	peek(t, r, "again")
}

// What is sent faster than it is dealt with waits at the sender, and costs no memory here.
func TestFloodWaitsAtItsSender(t *testing.T) {
	path, _, _ := listen(t)
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	n := 0
	for ; err == nil; n++ {
		_, err = c.Write([]byte("WATCHDOG=1"))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) || n > 5000 {
		t.Errorf("%d are taken, then %v", n, err)
	}
}
