package keeper

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

func TestMessagesArriveAsTheyWere(t *testing.T) {
	exit := proc.Exit{Code: 3, Signal: unix.SIGABRT, Core: true, Time: 5 * time.Hour, UserTime: 7, SystemTime: 1 << 40}
	for _, r := range []*run{
		{RunID: RunID{"a.b", 1 << 63}, outcome: outcome{id: proc.ID{PID: 1 << 22, Start: 1 << 60}}},
		{RunID: RunID{"x", 1}, outcome: outcome{id: proc.ID{PID: 7, Start: 9}}, exit: &exit},
		{RunID: RunID{"", 0}, outcome: outcome{err: &proc.SpawnError{Step: proc.StepClone, Err: unix.EAGAIN}}},
		{RunID: RunID{"\xff\x00", 2}, outcome: outcome{err: &proc.SpawnError{Step: proc.StepExec, Path: "/x", Err: errors.New("odd")}}},
	} {
		p := heldPacket(r)
		got, err := parseHeld(&p)
		want := Held{Run: r.RunID, ID: r.id, SpawnErr: r.err, Exit: r.exit}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %+v, %v", r.RunID, got, err)
		}
	}

	c := proc.Command{Argv: []string{"/bin/\xff", "", "b\nc"}, Env: []string{"A=\xfe", "B"}, Dir: "/tmp"}
	for _, settings := range []*proc.Settings{nil, {}, {
		Umask: new(0o27), Limits: []proc.Rlimit{{Resource: "nofile", Soft: 1, Hard: proc.Unlimited}}, OOMScoreAdj: new(-5), Nice: new(-20),
		User: new(uint32(1<<32 - 2)), Group: new(uint32(0)), Groups: []uint32{1, 2}, NoNewPrivileges: true, Input: "/tmp/\"é",
	}} {
		c.Settings = settings
		p := spawnPacket(RunID{"n", 4}, c, nil)
		id, got, notify, err := parseSpawn(&p)
		if err != nil || id != (RunID{"n", 4}) || notify != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%v %+v, %v, %v", id, got, notify, err)
		}
		p = helpPacket(1<<40, c)
		serial, got, err := parseHelp(&p)
		if err != nil || serial != 1<<40 || !reflect.DeepEqual(got, c) {
			t.Errorf("%d %+v, %v", serial, got, err)
		}
	}
	for _, want := range []helped{
		{outcome{id: proc.ID{PID: 7, Start: 9}}, exit},
		{outcome: outcome{err: &proc.SpawnError{Step: proc.StepClone, Err: unix.EAGAIN}}},
	} {
		p := helpedPacket(1<<40, want)
		serial, got, err := parseHelped(&p)
		if err != nil || serial != 1<<40 || !reflect.DeepEqual(got, want) {
			t.Errorf("%d %+v, %v", serial, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(spawnPacket(RunID{"n", 4}, proc.Command{Argv: []string{"a"}}, nil).body))
	f.Add([]byte(spawnPacket(RunID{"n", 4}, proc.Command{Argv: []string{"a"}, Settings: &proc.Settings{Nice: new(5)}}, nil).body))
	f.Add([]byte(helpPacket(4, proc.Command{Argv: []string{"a"}}).body))
	f.Add([]byte(helpedPacket(4, helped{exit: proc.Exit{Code: 1}}).body))
	f.Add([]byte(heldPacket(&run{RunID: RunID{"n", 4}, exit: &proc.Exit{}}).body))
	f.Add([]byte(helloPacket(Hello{Config: []byte("{}"), Shutdown: true, Upgrade: Upgrade{7, "why"}}, 3).body))
	f.Fuzz(func(t *testing.T, data []byte) {
		parseSpawn(&packet{body: data})
		parseHeld(&packet{body: data})
		parseKeep(&packet{body: data})
		parseHelp(&packet{body: data})
		parseHelped(&packet{body: data})
		parseHello(&packet{body: data})
	})
}

// pair returns two connected ends.
func pair(t *testing.T) (*conn, *conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*conn
	for i, fd := range fds {
		if ends[i], err = newConn(fd); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(ends[i].close)
	}
	return ends[0], ends[1]
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestBodiesOfEverySizeArrive(t *testing.T) {
	a, b := pair(t)
	before := openFiles(t)
	for _, size := range []int{0, 1, maxInline - 1, maxInline, maxInline + 1, 1 << 20, maxBody} {
		body := []byte(strings.Repeat("ab", size/2+1))[:size]
		if err := a.send(packet{kind: kindHello, body: body}); err != nil {
			t.Fatal(size, err)
		}
		p, err := b.receive()
		if err != nil || string(p.body) != string(body) || p.kind != kindHello {
			t.Fatalf("%d bytes: %d bytes of %v, %v", size, len(p.body), p.kind, err)
		}
	}
	if err := a.send(packet{body: make([]byte, maxBody+1)}); !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("too long: %v", err)
	}
	if n := openFiles(t); n != before {
		t.Errorf("%d descriptors, before %d", n, before)
	}
}

func TestSentBeforeDeathIsReceived(t *testing.T) {
	a, b := pair(t)
	b.send(packet{kind: kindHello}) // never read by a: b gets ECONNRESET
	for range 5 {
		a.send(packet{kind: kindDrop})
	}
	a.close()
	for i := range 5 {
		if p, err := b.receive(); err != nil || p.kind != kindDrop {
			t.Fatal(i, p.kind, err)
		}
	}
	if _, err := b.receive(); err != io.EOF {
		t.Error(err)
	}
}

func TestMalformedPacketsLeakNothing(t *testing.T) {
	a, b := pair(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	before := openFiles(t)
	raw := func(data string) error {
		t.Helper()
		var err error
		a.raw.Control(func(fd uintptr) {
			err = unix.Sendmsg(int(fd), []byte(data), unix.UnixRights(int(null.Fd()), int(null.Fd())), nil, 0)
		})
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.receive()
		p.close()
		return err
	}
	if err := raw("\x63\x01\x00"); !errors.Is(err, errProtocol) {
		t.Error("another protocol:", err)
	}
	for _, data := range []string{
		"", "\x01", // no kind, no flags
		"\x01\x01",                              // the rest of the body in /dev/null
		"\x01\x00" + strings.Repeat("x", 1<<16), // longer than a packet can be
	} {
		if err := raw(string(rune(protocol)) + data); err != nil && !errors.Is(err, errMalformed) {
			t.Errorf("%.10q: %v", data, err)
		}
	}
	if n := openFiles(t); n != before {
		t.Errorf("%d descriptors, before %d", n, before)
	}
}

// Of the listeners that nobody has taken yet only the last one matters.
func TestALaterListenerTakesThePlaceOfAnEarlierOne(t *testing.T) {
	a, b := pair(t)
	before := openFiles(t)
	l := &Link{renewed: make(chan Renewed, 1)}
	for i := range 3 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.send(listenPacket(Renewed{i, f})); err != nil {
			t.Fatal(err)
		}
		f.Close()
		p, err := b.receive()
		if err != nil || p.kind != kindListen {
			t.Fatal(p.kind, err)
		}
		r, err := parseListen(&p)
		if err != nil || r.Index != i {
			t.Fatal(r.Index, err)
		}
		l.renew(r)
	}
	r := <-l.renewed
	if r.Index != 2 || len(l.renewed) != 0 {
		t.Errorf("it is the one of index %d, %d wait", r.Index, len(l.renewed))
	}
	r.Listener.Close()
	if _, err := parseListen(&packet{body: encoder{0}}); !errors.Is(err, errMalformed) {
		t.Errorf("without a descriptor: %v", err)
	}
	if n := openFiles(t); n != before {
		t.Errorf("%d descriptors, before %d", n, before)
	}
}

func TestRestartDelay(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		failures int
		up, want time.Duration
	}{
		{0, 0, 100 * ms},
		{0, 30 * ms, 70 * ms},
		{0, time.Hour, 0},
		{1, time.Hour, 100 * ms},
		{2, 0, 200 * ms},
		{6, 0, 3200 * ms},
		{7, 0, 5000 * ms},
		{1 << 40, 0, 5000 * ms},
	} {
		if got := restartDelay(test.failures, test.up); got != test.want {
			t.Errorf("%d deaths, up %v: %v, want %v", test.failures, test.up, got, test.want)
		}
	}
}
