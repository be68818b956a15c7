package telnet

import (
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A door decides who of those that have not given the secret may come in, and how
// often they may guess it. The owner, who is root or ourselves on a Unix socket, is
// served whatever strangers do: strangers have bounds of their own, and get only a
// part of the descriptors. What a door remembers of them is bounded, too.
type door struct {
	tally tally

	mu        sync.Mutex
	owners    int      // connections of the owner
	inside    int      // of strangers who have given the secret
	strangers []*place // of the others, in the order in which they came
	known     map[string]*record
	next      time.Time // when the guesses of all strangers, at guessRate, are through
}

// bounds are how many connections there may be at once.
type bounds struct {
	owner   int // of the owner
	inside  int // of strangers who have given the secret
	waiting int // of strangers who have not
	each    int // of these, of one address or user
	kept    int // descriptors that are not for strangers
}

// boundsFor is what fits into a limit of descriptors.
func boundsFor(descriptors uint64) bounds {
	n := int(min(descriptors, 1<<20))
	waiting := max(4, min(n/16, 128))
	return bounds{owner: max(16, n/2), inside: min(n/8, 1024), waiting: waiting, each: max(2, waiting/4), kept: min(n/4, 256)}
}

// How fast strangers may guess.
const (
	guessesFree = 3                      // wrong guesses of an address that keep no other one waiting
	guessMost   = 10 * time.Second       // behind each further one: a second, then double as much, up to this
	forgiveTime = time.Minute            // after which one wrong guess is forgiven
	guessRate   = 100 * time.Millisecond // between two wrong guesses of all strangers together
	guessBurst  = 20                     // of these that need not keep to it
	guessWait   = 20 * time.Second       // for an answer; what had to wait longer gets none
	maxKnown    = 4096                   // addresses that are remembered
)

// An origin is where a connection comes from.
type origin struct {
	name  string
	owner bool
}

func originOf(conn net.Conn) origin {
	if addr, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		ip := addr.AddrPort().Addr().Unmap().WithZone("")
		if ip.Is6() { // whoever has one has the network of it
			prefix, _ := ip.Prefix(64)
			return origin{name: prefix.String()}
		}
		return origin{name: ip.String()}
	}
	cred, err := peer(conn)
	if err != nil { // in memory: it was made in this process
		return origin{name: "this process", owner: true}
	}
	uid := int(cred.Uid)
	return origin{name: "user " + strconv.Itoa(uid), owner: uid == 0 || uid == os.Geteuid()}
}

// A record is what is remembered of an origin's guesses.
type record struct {
	wrong int       // guesses that are not forgiven yet
	since time.Time // when the last one was forgiven, or the first one came
	next  time.Time // no guess is answered before
}

// forgive forgets what is old.
func (r *record) forgive(now time.Time) {
	n := int(now.Sub(r.since) / forgiveTime)
	r.wrong = max(r.wrong-n, 0)
	r.since = r.since.Add(time.Duration(n) * forgiveTime)
}

// A place is what a connection takes.
type place struct {
	conn    net.Conn
	origin  origin
	inside  bool          // a stranger who has given the secret
	evicted bool          // a stranger whose connection was closed
	past    chan struct{} // closed when a stranger has given the secret, or has left
}

// enter gives a connection a place, or nil if there is none. Where too many strangers
// wait already, the one who has waited longest is evicted: so a program that gives its
// secret at once comes in, however many are silent. The caller waits until the one
// who is evicted has left.
func (d *door) enter(conn net.Conn, limit bounds) (p, evicted *place) {
	p = &place{conn: conn, origin: originOf(conn), past: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.origin.owner {
		if d.owners >= limit.owner {
			return d.refuse(p), nil
		}
		d.owners++
		return p, nil
	}
	same := 0
	for _, q := range d.strangers {
		if q.origin == p.origin {
			same++
		}
	}
	switch {
	case d.inside >= limit.inside, !leaves(conn, limit.kept):
		return d.refuse(p), nil
	case same >= limit.each:
		evicted = d.evict(p.origin.name)
	case len(d.strangers) >= limit.waiting:
		evicted = d.evict(d.busiest())
	}
	d.strangers = append(d.strangers, p)
	return p, evicted
}

func (d *door) refuse(p *place) *place {
	d.tally.note(p.origin.name, tooMany)
	return nil
}

// evict ends the connection of an origin that has waited longest.
func (d *door) evict(name string) *place {
	for _, p := range d.strangers {
		if !p.evicted && p.origin.name == name {
			p.evicted = true
			p.conn.Close()
			d.tally.note(name, madeRoom)
			return p
		}
	}
	return nil
}

// busiest is the origin of which most connections wait.
func (d *door) busiest() (name string) {
	count := map[string]int{}
	for _, p := range d.strangers {
		if count[p.origin.name]++; !p.evicted && count[p.origin.name] > count[name] {
			name = p.origin.name
		}
	}
	return name
}

// makeRoom ends a stranger's connection when there are no descriptors left.
func (d *door) makeRoom() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.evict(d.busiest())
}

// letIn notes that the secret was given. false: there are too many inside.
func (d *door) letIn(p *place, limit bounds) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.origin.owner {
		return true
	}
	if d.inside >= limit.inside {
		d.refuse(p)
		return false
	}
	d.forget(p)
	p.inside = true
	d.inside++
	return true
}

// leave gives a place back.
func (d *door) leave(p *place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case p.origin.owner:
		d.owners--
	case p.inside:
		d.inside--
	default:
		d.forget(p)
	}
}

func (d *door) forget(p *place) {
	if i := slices.Index(d.strangers, p); i >= 0 {
		d.strangers = slices.Delete(d.strangers, i, i+1)
		close(p.past)
	}
}

// guess is how long a guess must wait for its answer, and counts a wrong one. false:
// that would be too long, so that it gets none and does not count.
func (d *door) guess(o origin, right bool, now time.Time) (wait time.Duration, ok bool) {
	if o.owner {
		return 0, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.record(o.name, now)
	at := latest(now, r.next, d.next.Add(-guessBurst*guessRate))
	if wait = at.Sub(now); wait > guessWait {
		return 0, false
	}
	if !right {
		d.next = latest(now, d.next).Add(guessRate)
		r.wrong++
		r.next = at.Add(delayAfter(r.wrong))
	}
	return wait, true
}

func latest(t time.Time, others ...time.Time) time.Time {
	for _, u := range others {
		if u.After(t) {
			t = u
		}
	}
	return t
}

// delayAfter is how long an origin must wait after so many wrong guesses.
func delayAfter(wrong int) time.Duration {
	if wrong <= guessesFree {
		return 0
	}
	return min(time.Second<<min(wrong-guessesFree-1, 10), guessMost)
}

// record is that of an origin. When there are too many, those that are as good as new
// are forgotten, and then whichever: the bound over all still holds.
func (d *door) record(name string, now time.Time) *record {
	if r := d.known[name]; r != nil {
		r.forgive(now)
		return r
	}
	if d.known == nil {
		d.known = map[string]*record{}
	}
	if len(d.known) >= maxKnown {
		for name, r := range d.known {
			if r.forgive(now); r.wrong == 0 {
				delete(d.known, name)
			}
		}
		for name := range d.known {
			if len(d.known) <= maxKnown*3/4 { // not again at the next one
				break
			}
			delete(d.known, name)
		}
	}
	r := &record{since: now}
	d.known[name] = r
	return r
}

// leaves reports whether so many descriptors are left beside that of conn. The kernel
// gives the lowest one that is free, so all below it are taken.
func leaves(conn net.Conn, kept int) (is bool) {
	raw := rawConn(conn)
	if raw == nil {
		return true
	}
	raw.Control(func(fd uintptr) { is = uint64(fd)+uint64(kept) < descriptorLimit() })
	return is
}

// descriptorLimit is how many descriptors this process may have now.
func descriptorLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return limit.Cur
}
