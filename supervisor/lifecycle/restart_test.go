package lifecycle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// days is a process whose runs end at random, over days that are made up. It knows by
// itself what must follow.
type days struct {
	random *rand.Rand
	now    time.Duration
	p      Process

	run     uint64        // under way; 0: none
	began   time.Duration // that run
	ends    time.Duration // by itself
	retry   time.Duration // when it is armed for; 0: it is not
	due     time.Duration // of the schedule; 0: it is not armed
	stopped bool          // by request, and nobody has asked for a start since
	count   int           // restarts since somebody asked, or the schedule did
	row     int           // since a run lasted long
	made    []time.Duration
	spawned time.Duration // the last time that one was
	gaveUp  bool
	byHand  bool // the event that is under way asks for a run itself

	happened []string
	fault    string
}

func (d *days) fail(format string, args ...any) {
	if d.fault == "" {
		d.fault = fmt.Sprintf(format, args...)
	}
}

func (d *days) feed(e Event) {
	e.Now, e.Random = d.now, d.random.Float64()
	before := d.p
	var actions []Action
	d.p, actions = d.p.Step(e)
	d.happened = append(d.happened, fmt.Sprintf("%v event %+v: %s; %v %+v", d.now, e.Kind, show(actions), d.p.State(), d.p.Attempts))
	d.happened = d.happened[max(0, len(d.happened)-40):]
	for _, a := range actions {
		switch a.Do {
		case Spawn:
			d.spawn(e, before, a.Run)
		case EndRun:
			d.ends = min(d.ends, d.now+time.Duration(d.random.Int64N(int64(10*time.Second))))
		case AwaitRetry:
			if d.retry = d.p.Attempts.Next; d.retry < d.now {
				d.fail("the next attempt is in the past")
			}
		case DropRetry:
			d.retry = 0
		case Arm:
			if d.p.Scheduled && (d.due == 0 || d.due <= d.now) {
				d.due = d.now + time.Duration(1+d.random.IntN(240))*time.Minute
			}
		case Disarm:
			d.due = 0
		case GiveUp:
			d.gaveUp = true
		}
	}
	if d.p.Attempts.Count != d.count {
		d.fail("it counts %d restarts, there were %d", d.p.Attempts.Count, d.count)
	}
}

func (d *days) spawn(e Event, before Process, number uint64) {
	if d.run != 0 {
		d.fail("run %d begins while run %d goes on", number, d.run)
	}
	if d.stopped {
		d.fail("run %d begins, and it was stopped", number)
	}
	if e.Kind == Retry {
		if d.now-d.spawned < time.Second {
			d.fail("run %d begins %v after the one before", number, d.now-d.spawned)
		}
		d.count++
		d.row++
		d.made = append(d.made, d.now)
		if limit, window := d.p.Policy.RestartLimit, d.p.Policy.RestartWindow; window > 0 && !d.byHand {
			within := 0
			for _, t := range d.made {
				if t > d.now-window {
					within++
				}
			}
			if within > limit+1 { // one may have come into the window with the delay of the last
				d.fail("restart %d within %v, the limit is %d", within, window, limit)
			}
		}
	} else {
		d.count, d.row, d.made = 0, 0, nil
	}
	d.run, d.began, d.spawned, d.retry, d.gaveUp = number, d.now, d.now, 0, false
	lasts := []time.Duration{0, time.Second, time.Minute, 30 * time.Minute, 6 * time.Hour}[d.random.IntN(5)]
	d.ends = d.now + time.Duration(d.random.Float64()*float64(lasts))
	d.feed(Event{Kind: RunStarted, Run: number})
}

// end is the end of the run under way, by itself unless it was asked to.
func (d *days) end(asked process.Cause) {
	e := Event{Kind: RunEnded, Run: d.run, Cause: asked, Lasted: d.now - d.began}
	if asked == 0 {
		causes := []process.Cause{process.CauseExit, process.CauseExit, process.CauseSignal, process.CauseDeadline, process.CauseOOM, process.CauseStart, process.CauseLost, process.CauseUnhealthy}
		e.Cause = causes[d.random.IntN(len(causes))]
		e.Success = e.Cause == process.CauseExit && d.random.IntN(2) == 0
	}
	policy := d.p.Policy
	follows := asked == 0 && !d.stopped &&
		(policy.Restart == process.RestartAlways || policy.Restart == process.RestartOnFailure && !e.Success)
	if e.Lasted >= policy.LongestDelay() && follows {
		d.row = 0
	}
	limited := false
	if limit, window := policy.RestartLimit, policy.RestartWindow; limit > 0 && window == 0 {
		limited = d.row >= limit
	} else if limit > 0 {
		within := 0
		for _, t := range d.made {
			if t > d.now-window {
				within++
			}
		}
		limited = within >= limit
	}
	queued := d.p.Then == ThenStart
	d.run, d.gaveUp = 0, false
	d.feed(e)
	switch {
	case queued:
	case !follows || limited:
		if d.p.State() == process.Backoff {
			d.fail("another run follows one that ended by %v (success %v), the limit is reached: %v", e.Cause, e.Success, limited)
		}
		if d.gaveUp != (follows && limited) {
			d.fail("gave up: %v, the limit is reached: %v", d.gaveUp, limited)
		}
	case d.p.State() != process.Backoff || d.retry == 0:
		d.fail("no run follows one that ended by %v (success %v)", e.Cause, e.Success)
	default:
		want := policy.FirstDelay()
		for range d.row {
			want = min(2*want, policy.LongestDelay())
		}
		if delay := d.retry - d.now; delay < want*9/10 || delay > want*11/10 || delay < time.Second || delay > max(policy.LongestDelay(), time.Second) {
			d.fail("the delay after %d restarts in a row is %v, not %v", d.row, delay, want)
		}
	}
}

// pass goes to the next thing that happens by itself, within a while.
func (d *days) pass(while time.Duration) {
	at := d.now + while
	what := func() {}
	try := func(t time.Duration, do func()) {
		if t <= at {
			at, what = max(t, d.now), do
		}
	}
	if d.run != 0 {
		try(d.ends, func() {
			asked := process.Cause(0)
			if d.p.Runs[0].Phase == Stopping {
				asked = process.CauseStop
				if d.p.Closing {
					asked = process.CauseShutdown
				}
			}
			d.end(asked)
		})
	}
	if d.retry != 0 {
		try(d.retry, func() {
			d.retry = 0
			d.feed(Event{Kind: Retry})
			if d.run == 0 && !d.p.Busy() {
				d.fail("the time of an attempt has come, and there is none")
			}
		})
	}
	if d.due != 0 {
		try(d.due, func() {
			idle, stopped := d.run == 0, d.stopped
			d.feed(Event{Kind: Due})
			if idle && !stopped && d.run == 0 {
				d.fail("a scheduled time has come, and nothing runs")
			}
		})
	}
	d.now = at
	what()
}

func (d *days) ask(k EventKind) {
	d.byHand = true
	defer func() { d.byHand = false }()
	running := d.run != 0
	switch k {
	case Stop:
		d.stopped = true
	case Start, Restart:
		d.stopped = false
		if !running && d.p.Rest != process.Scheduled { // one that waits for its time counts anew then
			d.count, d.row, d.made = 0, 0, nil
		}
	}
	d.feed(Event{Kind: k})
	if k != Stop && !d.p.Scheduled && !running && d.run == 0 {
		d.fail("asked to start, and nothing runs")
	}
	if k == Stop && !running && (d.p.State() != process.Stopped && !d.p.State().AtRest() || d.retry != 0) {
		d.fail("stopped, and it is %v", d.p.State())
	}
}

// policy is any that a definition may have.
func policy(r *rand.Rand) process.Restarting {
	p := process.Restarting{
		Restart:      []process.RestartPolicy{process.RestartNo, process.RestartOnFailure, process.RestartAlways}[r.IntN(3)],
		RestartDelay: []time.Duration{0, time.Millisecond, 3 * time.Second, time.Hour}[r.IntN(4)],
	}
	p.RestartMaxDelay = []time.Duration{0, max(p.RestartDelay, 5*time.Second), max(p.RestartDelay, 2*time.Hour)}[r.IntN(3)]
	if r.IntN(2) == 0 {
		p.RestartLimit = 1 + r.IntN(6)
	}
	if p.RestartLimit > 0 && r.IntN(2) == 0 {
		p.RestartWindow = time.Duration(1+r.IntN(48)) * time.Hour
	}
	return p
}

// Weeks of made-up lives: a run follows when it must and when it may, after the right delay,
// never two at once, never two attempts within a second; counts are right; a stop holds.
func TestRestartsOverDays(t *testing.T) {
	lives := 5_000
	if testing.Short() {
		lives = 1_000
	}
	restarts, gaveUps := 0, 0
	for life := range lives {
		r := rand.New(rand.NewPCG(2, uint64(life)))
		d := &days{random: r, now: time.Hour, p: Process{Rest: process.Stopped, Policy: policy(r), Scheduled: r.IntN(4) == 0}, stopped: true, spawned: -time.Hour}
		limit := d.now + 14*24*time.Hour
		for step := 0; d.now < limit && step < 400 && d.fault == ""; step++ {
			switch r.IntN(25) {
			case 0:
				d.ask(Start)
			case 1:
				d.ask(Restart)
			case 2:
				d.ask(Stop)
			default:
				d.pass(time.Duration(r.Int64N(int64(8 * time.Hour))))
			}
			if d.gaveUp {
				gaveUps++
			}
		}
		restarts += d.count
		if d.fault != "" {
			t.Errorf("life %d, %+v: %s", life, d.p.Policy, d.fault)
			for _, line := range d.happened {
				t.Log(line)
			}
			return
		}
	}
	if restarts == 0 || gaveUps == 0 {
		t.Errorf("%d restarts, given up %d times: nothing was tried", restarts, gaveUps)
	}
}

// A service that crashes at once makes so many attempts in a day, and no more.
func TestADayOfCrashes(t *testing.T) {
	for _, c := range []struct {
		policy      process.Restarting
		least, most int
	}{
		{process.Restarting{Restart: process.RestartAlways}, 1440, 1700},                                     // each minute, less a tenth
		{process.Restarting{Restart: process.RestartOnFailure, RestartMaxDelay: time.Second}, 80_000, 86400}, // each second
		{process.Restarting{Restart: process.RestartOnFailure, RestartLimit: 5}, 5, 5},
		{process.Restarting{Restart: process.RestartOnFailure, RestartLimit: 5, RestartWindow: time.Minute}, 5, 5},
		{process.Restarting{}, 0, 0},
	} {
		r := rand.New(rand.NewPCG(3, 3))
		p := Process{Rest: process.Stopped, Policy: c.policy}
		now, runs, last := time.Hour, 0, time.Duration(0)
		p, actions := p.Step(Event{Kind: Start, Now: now})
		for end := now + 24*time.Hour; now < end; {
			var next time.Duration
			for _, a := range actions {
				switch a.Do {
				case Spawn:
					if runs++; runs > 1 && now-last < time.Second {
						t.Fatalf("run %d came %v after the one before", runs, now-last)
					}
					last = now
				case AwaitRetry:
					next = p.Attempts.Next
				}
			}
			switch {
			case p.Busy():
				p, actions = p.Step(Event{Kind: RunEnded, Run: p.Last, Cause: process.CauseExit, Now: now, Random: r.Float64()})
			case next == 0:
				now = end
			default:
				now = next
				p, actions = p.Step(Event{Kind: Retry, Now: now})
			}
		}
		if runs--; runs < c.least || runs > c.most {
			t.Errorf("%+v: %d restarts in a day, want %d to %d", c.policy, runs, c.least, c.most)
		}
	}
}

// Services that failed together do not come back together.
func TestDelaysAreSpread(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var list []time.Duration
	for range 1000 {
		d := jittered(time.Second, time.Minute, r.Float64())
		if d < time.Second || d > 1100*time.Millisecond {
			t.Fatalf("a second has become %v", d)
		}
		list = append(list, d)
		if d := jittered(time.Minute, time.Minute, r.Float64()); d < 54*time.Second || d > time.Minute {
			t.Fatalf("the longest delay has become %v", d)
		}
		if d := jittered(time.Second, time.Second, r.Float64()); d != time.Second {
			t.Fatalf("a second, which is the longest too, has become %v", d)
		}
	}
	slices.Sort(list)
	if spread := list[900] - list[100]; spread < 60*time.Millisecond {
		t.Errorf("most of them lie within %v", spread)
	}
}

func TestWhyItGivesUp(t *testing.T) {
	for _, c := range []struct {
		limit  int
		window time.Duration
		want   string
	}{
		{1, 0, "restarted once in a row, the limit"},
		{5, time.Minute, "restarted 5 times in 1m, the limit"},
		{2, 90 * time.Minute, "restarted 2 times in 1h30m, the limit"},
		{2, 90 * time.Second, "restarted 2 times in 1m30s, the limit"},
		{2, 24 * time.Hour, "restarted 2 times in 24h, the limit"},
	} {
		a := Attempts{Row: c.limit}
		for range c.limit {
			a.Times = append(a.Times, time.Hour)
		}
		if _, got := a.plan(process.Restarting{RestartLimit: c.limit, RestartWindow: c.window}, time.Hour, 0); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
