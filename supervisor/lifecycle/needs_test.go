package lifecycle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// society is processes that need one another, over days that are made up. Each takes what is
// put to it in turn, and shows the others how it stands behind each turn, as in the daemon.
type society struct {
	random   *rand.Rand
	now      time.Duration
	all      []*member
	things   []thing // that are due, in no order
	happened []string
	fault    string

	held, lost, spawned int // to see that something was tried
}

type member struct {
	s     *society
	name  string
	list  []process.Need
	p     Process
	needs Needs
	inbox []func()
	shown Seen

	succeeded bool // its last run
	stopped   bool // somebody has stopped it, and nobody has asked for it since
	goesWrong int  // of so many runs one ends well
	waiting   []waiting
	told      int // that it waits in vain, since it was asked alone
}

type thing struct {
	at  time.Duration
	who *member
	do  func()
}

func newSociety(r *rand.Rand, size int) *society {
	s := &society{random: r, now: time.Hour}
	for i := range size {
		m := &member{s: s, name: fmt.Sprint("p", i), goesWrong: 1 + r.IntN(4)}
		m.p = Process{Rest: process.Stopped, Policy: policy(r)}
		m.list = s.someNeeds(i)
		m.needs = Needs{Of: func() []process.Need { return m.list }, Look: s.look}
		m.shown = m.seen()
		s.all = append(s.all, m)
	}
	return s
}

// someNeeds are needs among the first of all, so that there is no cycle.
func (s *society) someNeeds(below int) (list []process.Need) {
	for i := range below {
		if s.random.IntN(3) == 0 {
			list = append(list, process.Need{Name: fmt.Sprint("p", i), Completed: s.random.IntN(3) == 0})
		}
	}
	return list
}

func (s *society) find(name string) *member {
	for _, m := range s.all {
		if m.name == name {
			return m
		}
	}
	return nil
}

func (s *society) look(name string) Seen { return s.find(name).shown }

func (s *society) fail(format string, args ...any) {
	if s.fault == "" {
		s.fault = fmt.Sprintf(format, args...)
	}
}

func (s *society) in(d time.Duration, m *member, do func()) {
	s.things = append(s.things, thing{s.now + d, m, do})
}

// within is a time up to a longest one.
func (s *society) within(longest time.Duration) time.Duration {
	return 1 + time.Duration(s.random.Int64N(int64(longest)))
}

// settle lets all take their turns until nobody has anything to do.
func (s *society) settle() {
	for s.fault == "" {
		var busy []*member
		for _, m := range s.all {
			if len(m.inbox) > 0 {
				busy = append(busy, m)
			}
		}
		if len(busy) == 0 {
			return
		}
		m := busy[s.random.IntN(len(busy))]
		do := m.inbox[0]
		m.inbox = m.inbox[1:]
		do()
		if now := m.seen(); now != m.shown {
			m.shown = now
			for _, other := range s.all {
				if slices.ContainsFunc(other.list, func(n process.Need) bool { return n.Name == m.name }) {
					other.put(other.checkNeeds)
				}
			}
		}
	}
}

// pass lets the next thing happen, or time go on.
func (s *society) pass(longest time.Duration) {
	until := s.now + s.within(longest)
	for s.fault == "" {
		if len(s.things) == 0 {
			break
		}
		i := 0
		for j := range s.things {
			if s.things[j].at < s.things[i].at {
				i = j
			}
		}
		next := s.things[i]
		if next.at > until {
			break
		}
		s.things = slices.Delete(s.things, i, i+1)
		s.now = max(s.now, next.at)
		next.who.put(next.do)
		s.settle()
		s.check()
	}
	s.now = until
}

// check looks at all when nobody has anything to do.
func (s *society) check() {
	for _, m := range s.all {
		if m.p.Busy() {
			continue
		}
		missing, lost := m.needs.Missing(), m.needs.Lost()
		switch {
		case m.p.Rest == process.Waiting && (len(missing) == 0 || !slices.ContainsFunc(m.list, m.lacks)):
			s.fail("%s waits for what is there", m.name)
		case m.p.Rest == process.Waiting && len(lost) > 0 && len(m.waiting) > 0:
			s.fail("%s has told nobody that it waits in vain for %v", m.name, lost)
		case m.p.Rest != process.Waiting && len(m.waiting) > 0:
			s.fail("%s is %v, and %d requests are not answered", m.name, m.p.State(), len(m.waiting))
		case m.p.Rest == process.Waiting && m.shown.Error == "" && len(lost) > 0:
			s.fail("%s does not show that it waits in vain", m.name)
		case m.stopped && m.p.Rest == process.Waiting:
			s.fail("%s was stopped, and waits", m.name)
		case m.p.Rest == process.Backoff && !slices.ContainsFunc(s.things, func(t thing) bool { return t.who == m && t.at == m.p.Attempts.Next }):
			s.fail("%s waits for an attempt that never comes", m.name)
		case m.p.Up && !m.stopped && m.p.Last > 0 && m.p.Rest.AtRest() && m.p.Reason == "" && Restarts(m.p.Policy, process.CauseExit, m.succeeded):
			s.fail("%s is %v, and its policy would have it up", m.name, m.p.Rest)
		}
	}
}

func (m *member) put(do func()) { m.inbox = append(m.inbox, do) }

func (m *member) seen() Seen {
	seen := Seen{State: m.p.State(), Last: m.p.Last, Succeeded: m.p.Last > 0 && !m.p.Busy() && m.succeeded}
	switch seen.State {
	case process.Waiting:
		seen.Error = m.needs.Vain()
	case process.Failed:
		seen.Error = "exit code 1"
	}
	return seen
}

func (m *member) feed(e Event) {
	s := m.s
	e.Now, e.Random = s.now, s.random.Float64()
	e.Held = len(m.needs.Missing()) > 0
	var actions []Action
	m.p, actions = m.p.Step(e)
	s.happened = append(s.happened, fmt.Sprintf("%v %s %+v: %s; %v", s.now, m.name, e, show(actions), m.p.State()))
	s.happened = s.happened[max(0, len(s.happened)-60):]
	for _, a := range actions {
		switch a.Do {
		case Answer:
			before := len(m.waiting)
			m.waiting = slices.DeleteFunc(m.waiting, func(r waiting) bool { return r.goal == a.Goal && (a.Run == 0 || a.Run == r.run) })
			if a.Code == process.CodeNeeds {
				s.lost += before - len(m.waiting)
				m.told += before - len(m.waiting)
			}
		case Refuse:
			m.waiting = m.waiting[:len(m.waiting)-1]
		case Hold:
			s.held++
			m.put(m.checkNeeds)
		case AwaitRetry:
			s.in(m.p.Attempts.Next-s.now, m, func() {
				if m.p.Rest == process.Backoff {
					m.feed(Event{Kind: Retry})
				}
			})
		case Spawn:
			m.spawn(a.Run)
		case EndRun:
			s.in(s.within(20*time.Second), m, func() { m.over(a.Run, a.Cause, false) })
		}
	}
}

// spawn begins a run. That it may is looked at here by other means than the machine's.
func (m *member) spawn(run uint64) {
	s := m.s
	s.spawned++
	for _, need := range m.list {
		did := !m.lacks(process.Need{Name: need.Name, Completed: true})
		if m.lacks(need) && (need.Completed || !did) { // a job may be over before it was seen to run
			s.fail("%s begins, and %s is %v", m.name, need, s.find(need.Name).p.State())
		}
	}
	if m.stopped {
		s.fail("%s begins, and somebody has stopped it", m.name)
	}
	m.needs.Begun()
	under := func() bool { return m.p.Busy() && m.p.Last == run && m.p.Runs[0].Phase != Stopping }
	s.in(s.within(50*time.Millisecond), m, func() {
		if !under() {
			return
		}
		if s.random.IntN(12) == 0 {
			m.over(run, process.CauseStart, false)
			return
		}
		m.feed(Event{Kind: RunStarted, Run: run})
		s.in(s.within(time.Minute), m, func() {
			if under() {
				m.feed(Event{Kind: RunReady, Run: run})
			}
		})
		if s.random.IntN(4) > 0 {
			s.in(s.within(time.Duration(1+s.random.IntN(100_000))*time.Second), m, func() {
				if under() {
					m.over(run, process.CauseExit, s.random.IntN(m.goesWrong) == 0)
				}
			})
		}
	})
}

// lacks reports whether what is needed is not there.
func (m *member) lacks(need process.Need) bool {
	other := m.s.find(need.Name)
	if need.Completed {
		return other.p.Busy() || other.p.Last == 0 || !other.succeeded
	}
	return other.p.State() != process.Running
}

// over is the end of a run, in two turns.
func (m *member) over(run uint64, cause process.Cause, success bool) {
	m.feed(Event{Kind: RunEnding, Run: run})
	m.put(func() {
		if m.p.Busy() && m.p.Last == run {
			m.succeeded = success
			m.feed(Event{Kind: RunEnded, Run: run, Cause: cause, Success: success, Lasted: m.s.within(2 * time.Minute)})
		}
	})
}

func (m *member) ask(k EventKind, goal Goal) {
	r := waiting{goal: goal, since: m.s.now}
	m.stopped = k == Stop
	if k != Stop {
		r.run = m.p.Awaits(k)
		m.startNeeds()
	}
	m.waiting = append(m.waiting, r)
	m.feed(Event{Kind: k})
}

func (m *member) startNeeds() {
	for _, name := range m.needs.Ask() {
		other := m.s.find(name)
		other.put(func() {
			if !other.p.Busy() {
				other.stopped = false
				other.startNeeds()
				other.feed(Event{Kind: Start})
			}
			other.put(func() {
				m.put(func() {
					m.needs.Done(name)
					m.checkNeeds()
				})
			})
		})
	}
}

func (m *member) checkNeeds() {
	if m.p.Rest == process.Waiting && !m.p.Busy() {
		m.feed(Event{Kind: NeedsChanged, Lost: len(m.needs.Lost()) > 0})
	}
}

// Days of processes that need one another: none begins before what it needs is there, none
// waits for what is there, who waits in vain is told, what somebody has stopped is started by
// nobody's restart, and what its policy wants up comes up.
func TestNeedsOverDays(t *testing.T) {
	lives := 200
	if testing.Short() {
		lives = 60
	}
	held, lost, spawned := 0, 0, 0
	for life := range lives {
		r := rand.New(rand.NewPCG(11, uint64(life)))
		s := newSociety(r, 2+r.IntN(7))
		for end := s.now + 5*24*time.Hour; s.now < end && s.fault == ""; {
			m := s.all[r.IntN(len(s.all))]
			goal := []Goal{UntilStarted, UntilReady}[r.IntN(2)]
			switch r.IntN(8) {
			case 0, 1, 2:
				m.put(func() { m.ask(Start, goal) })
			case 3:
				m.put(func() { m.ask(Restart, goal) })
			case 4, 5:
				m.put(func() { m.ask(Stop, UntilStopped) })
			case 6:
				list := s.someNeeds(slices.Index(s.all, m))
				m.put(func() { m.list = list; m.checkNeeds() })
			}
			if r.IntN(3) == 0 {
				continue // several at once
			}
			m.told = 0
			alone := !slices.ContainsFunc(s.all, func(other *member) bool { return other != m && len(other.inbox) > 0 }) && len(m.inbox) == 1
			s.settle()
			s.check()
			if alone && m.told > 0 && len(m.needs.Lost()) == 0 {
				s.fail("%s was said to wait in vain, and all may come", m.name)
			}
			s.pass([]time.Duration{time.Second, time.Minute, 6 * time.Hour}[r.IntN(3)])
		}
		held, lost, spawned = held+s.held, lost+s.lost, spawned+s.spawned
		if s.fault != "" {
			t.Fatalf("life %d: %s\n%s", life, s.fault, strings.Join(s.happened, "\n"))
		}
	}
	if held == 0 || lost == 0 || spawned == 0 {
		t.Errorf("%d runs, %d were held back, %d told of a wait in vain: nothing was tried", spawned, held, lost)
	}
	t.Logf("%d runs, %d were held back, %d told of a wait in vain", spawned, held, lost)
}
