package telnet

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var epoch = time.Unix(1e9, 0)

// guessed is how many wrong guesses are answered within a time, when each of the
// origins guesses as often as it is let, many side by side.
func guessed(d *door, origins int, within time.Duration) (answered int) {
	for now := epoch; now.Before(epoch.Add(within)); now = now.Add(500 * time.Millisecond) {
		for i := range origins {
			for range 3 {
				if wait, ok := d.guess(origin{name: fmt.Sprint(i)}, false, now); ok && now.Add(wait).Before(epoch.Add(within)) {
					answered++
				}
			}
		}
	}
	return answered
}

func TestGuessesOfAnAddressAreFew(t *testing.T) {
	// Three at once, then after 1, 2, 4, 8, 10, 10 … seconds.
	if n := guessed(new(door), 1, time.Minute); n < 4 || n > 12 {
		t.Errorf("%d in a minute", n)
	}
	if n := guessed(new(door), 1, time.Hour); n > 370 {
		t.Errorf("%d in an hour", n)
	}
}

func TestGuessesOfAllAddressesAreFew(t *testing.T) {
	if n := guessed(new(door), 200, time.Minute); n < 100 || n > 60*10+guessBurst+1 {
		t.Errorf("%d in a minute", n)
	}
}

func TestWrongGuessesAreForgiven(t *testing.T) {
	d := new(door)
	guessed(d, 1, 10*time.Minute)
	later := epoch.Add(10*time.Minute + 2*time.Hour)
	for range guessesFree {
		if wait, ok := d.guess(origin{name: "0"}, false, later); wait > 0 || !ok {
			t.Errorf("%v, %v", wait, ok)
		}
	}
}

func TestRightGuessesWaitForNobody(t *testing.T) {
	d := new(door)
	for range 1000 {
		if wait, ok := d.guess(origin{name: "a"}, true, epoch); wait > 0 || !ok {
			t.Fatalf("%v, %v", wait, ok)
		}
	}
	guessed(d, 1, time.Second)
	if wait, ok := d.guess(origin{name: "another"}, true, epoch.Add(time.Second)); wait > 0 || !ok {
		t.Errorf("another address: %v, %v", wait, ok)
	}
	guessed(d, 200, 5*time.Second)
	if wait, ok := d.guess(origin{name: "user 0", owner: true}, true, epoch); wait > 0 || !ok {
		t.Errorf("the owner: %v, %v", wait, ok)
	}
}

func TestWhatIsRememberedOfAddressesIsBounded(t *testing.T) {
	d := new(door)
	for i := range 5 * maxKnown {
		d.guess(origin{name: fmt.Sprint(i)}, false, epoch.Add(time.Duration(i)*time.Second))
	}
	if len(d.known) > maxKnown {
		t.Errorf("%d are known", len(d.known))
	}
}

func TestStrangersLeaveDescriptors(t *testing.T) {
	for n := uint64(64); n < 1<<21; n += 1 + n/100 {
		b := boundsFor(n)
		if got := uint64(b.inside + b.waiting); got > n/4 {
			t.Errorf("of %d descriptors strangers get %d", n, got)
		}
		if b.each < 1 || b.waiting < b.each || b.owner < 16 {
			t.Errorf("%d descriptors: %+v", n, b)
		}
	}
}

// fakeConn is a connection from an address.
type fakeConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.from)} }
func (c *fakeConn) Close() error         { c.closed = true; return nil }

func TestTheOneThatHasWaitedLongestMakesRoom(t *testing.T) {
	limit := bounds{owner: 1, inside: 2, waiting: 6, each: 4}
	d := new(door)
	enter := func(from string) *place {
		p, evicted := d.enter(&fakeConn{from: from}, limit)
		if evicted != nil {
			d.leave(evicted)
		}
		return p
	}
	closed := func(p *place) bool { return p.conn.(*fakeConn).closed }
	var a []*place
	for range 5 {
		a = append(a, enter("10.0.0.1"))
	}
	if !closed(a[0]) || closed(a[1]) {
		t.Fatal("the fifth of an address does not end the first")
	}
	b := enter("10.0.0.2")
	enter("10.0.0.3")
	if closed(a[1]) {
		t.Error("there was room")
	}
	enter("10.0.0.4")
	if !closed(a[1]) || closed(a[2]) || closed(b) {
		t.Error("when there are too many, it is not the busiest address that makes room")
	}
	if n := len(d.strangers); n > limit.waiting {
		t.Errorf("%d wait", n)
	}
	if !d.letIn(b, limit) || !d.letIn(a[4], limit) || d.letIn(a[3], limit) {
		t.Error("two may be inside")
	}
	if enter("10.0.0.5") != nil {
		t.Error("one comes in while nobody could get inside")
	}
	d.leave(b)
	if enter("10.0.0.5") == nil {
		t.Error("none comes in")
	}
}

func TestOriginIsTheNetworkOfAnIPv6Address(t *testing.T) {
	for from, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1", "2001:db8::1:2": "2001:db8::/64", "2001:db8::ffff:1": "2001:db8::/64",
	} {
		if got := originOf(&fakeConn{from: from}); got.name != want || got.owner {
			t.Errorf("%s: %+v", from, got)
		}
	}
}

// said collects log lines.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) log(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *said) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

func TestLogLinesAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines said
		var c tally
		c.open(lines.log)
		for range 38 {
			c.note("10.0.0.1", tooMany)
		}
		for i := range 10_000 {
			c.note(fmt.Sprint("net ", i), wrongSecret)
		}
		time.Sleep(tallyTime + time.Second)
		synctest.Wait()
		got := strings.Join(lines.lines, "\n")
		for _, want := range []string{
			"10.0.0.1: a connection refused: there are too many",
			"10.0.0.1: 37 connections refused: there are too many in the last minute",
			"other addresses: 9981 of the like in the last minute",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in\n%s", want, got)
			}
		}
		if n := len(lines.lines); n > tallyMost+2 {
			t.Errorf("%d lines", n)
		}
		time.Sleep(tallyTime)
		c.note("10.0.0.1", tooMany)
		c.note("10.0.0.1", tooMany)
		c.close()
		if last := lines.lines[len(lines.lines)-1]; last != "10.0.0.1: a connection refused: there are too many, once more in the last minute" {
			t.Errorf("at the end: %q", last)
		}
	})
}

// Whoever sends a byte now and then, or commands, or a line without an end, is cut off.
func TestNobodyStaysLongBeforeTheSecret(t *testing.T) {
	inBubble(t, &Server{}, func(t *testing.T, dial func() net.Conn, _ func()) {
		conn := asTCP{dial()}
		begin := time.Now()
		go io.Copy(io.Discard, conn)
		for err := error(nil); err == nil; time.Sleep(time.Second) {
			_, err = io.WriteString(conn, "x")
		}
		if got := time.Since(begin); got > authTime+2*time.Second {
			t.Errorf("closed after %v", got)
		}
	})
	for what, input := range map[string]string{
		"a line without an end": "x", "options": do + "\x2a", "questions": "\xff\xf6", "negotiations": sb + "\x01\x02" + se,
	} {
		t.Run(what, func(t *testing.T) {
			path := startTCP(t, &Server{})
			conn := dial(t, path)
			go io.Copy(io.Discard, conn)
			sent := 0
			for block := strings.Repeat(input, 1<<10); ; {
				n, err := io.WriteString(conn, block)
				if sent += n; err != nil {
					break
				}
				if sent > 64<<20 {
					t.Fatal("it takes them for ever")
				}
			}
		})
	}
}

func TestProgramComesInHoweverManyAreSilent(t *testing.T) {
	s := &Server{}
	path := startTCP(t, s)
	limit := boundsFor(descriptorLimit())
	for range 3 * limit.each {
		dial(t, path)
	}
	conn := dial(t, path)
	c := NewClient(conn)
	if err := c.Authenticate(t.Context(), []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if _, payload, err := c.Do(t.Context(), "!!a"); err != nil || len(payload) == 0 {
		t.Errorf("%q, %v", payload, err)
	}
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	if n := len(s.door.strangers); n > limit.each {
		t.Errorf("%d wait", n)
	}
}

// noDescriptors is a listener on which accept fails until a time.
type noDescriptors struct {
	*pipes
	until time.Time
	tries int
}

func (l *noDescriptors) Accept() (net.Conn, error) {
	if time.Now().Before(l.until) {
		l.tries++
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.pipes.Accept()
}

func TestAcceptWithoutDescriptorsNeitherSpinsNorFillsTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines said
		l := &noDescriptors{pipes: &pipes{make(chan net.Conn), make(chan struct{})}, until: time.Now().Add(10 * time.Minute)}
		s := &Server{Secret: []byte("secret"), Handler: handler{}, Log: lines.log}
		stop := startOn(t, s, l)
		conn := l.dial() // taken as soon as there are some
		readString(t, conn, bannerAsk+"\n")
		if n := lines.count(); n < 2 || n > 12 {
			t.Errorf("%d lines", n)
		}
		if l.tries > 700 {
			t.Errorf("%d tries", l.tries)
		}
		conn.Close()
		stop()
	})
}

func TestStrangersMakeRoomWhenThereAreNoDescriptors(t *testing.T) {
	s := &Server{}
	path := startTCP(t, s)
	conn := dial(t, path)
	readString(t, conn, "\xff\xfb\x01"+bannerAsk+"\r\n")
	s.door.makeRoom()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("it is still there")
	}
}
