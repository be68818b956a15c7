package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
)

// points are where a worker is made to die between two steps.
var points = append(slices.Clone(supervisor.Points), lives.PointReady)

// longestAnswer is what no worker may take: it leaves room for a machine that does
// something else for a while. What they are held to is options.median.
var longestAnswer = 5 * time.Second * time.Duration(slowdown)

// killer ends the daemon's kernel processes.
type killer struct {
	storm   *storm
	random  *rand.Rand
	kills   weights // done
	early   int     // of those of workers: before they were ready
	points  map[supervisor.Point]int
	answers []time.Duration // from the death of a worker to the answer of the next one

	mu   sync.Mutex
	dark []dark
}

// dark is a time in which no keeper could see what ended.
type dark struct{ from, to time.Time }

// play kills until timed ends; what it has begun it finishes within ctx.
func (k *killer) play(timed, ctx context.Context) {
	said := time.Now()
	for k.wait(timed, upTo(k.random, k.storm.pause)) {
		err := k.kill(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			k.storm.journal.failf("%w", err)
			return
		}
		if zombies := k.zombies(); len(zombies) > 0 {
			k.storm.journal.failf("the keeper leaves zombies: %v", zombies)
		}
		if time.Since(said) >= time.Minute {
			said = time.Now()
			fmt.Fprintf(k.storm.progress, "%v: %v killed\n", time.Since(k.storm.journal.began).Round(time.Second), &k.kills)
		}
	}
	if k.storm.duration >= time.Hour && k.kills.worker > 0 {
		for _, p := range points {
			if k.points[p] == 0 {
				k.storm.journal.failf("in all this time no worker has died at the point %q", p)
			}
		}
	}
	slices.Sort(k.answers)
	if n := len(k.answers); n >= 20 && k.storm.options.disk == "" {
		if half := k.answers[n/2]; half > k.storm.median {
			k.storm.journal.failf("half of %d workers took more than %v to answer", n, k.storm.median)
		}
		if longest := k.answers[n-1]; longest > longestAnswer {
			k.storm.journal.failf("a worker took %v to answer", longest)
		}
	}
}

// wait is false when ctx ends first.
func (k *killer) wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (k *killer) kill(ctx context.Context) error {
	w := &k.storm.kills
	switch n := k.random.IntN(w.sum()); {
	case n < w.worker:
		return k.killWorker(ctx)
	case n < w.worker+w.keeper:
		k.kills.keeper++
		return k.killKeeper(ctx, false)
	}
	k.kills.both++
	return k.killKeeper(ctx, true)
}

// killWorker kills a worker that answers, and now and then the next one before it does.
func (k *killer) killWorker(ctx context.Context) error {
	worker, err := k.nextWorker(ctx, 0)
	if err != nil {
		return err
	}
	if k.random.IntN(3) == 0 {
		p := points[k.random.IntN(len(points))]
		if reached, err := k.killAt(ctx, p); reached || err != nil {
			return err
		}
	}
	began := time.Now()
	syscall.Kill(worker, syscall.SIGKILL)
	k.kills.worker++
	k.storm.journal.notef("worker %d killed", worker)
	early := k.random.IntN(5) == 0
	if early {
		if worker, err = k.nextWorker(ctx, worker); err != nil {
			return err
		}
		k.wait(ctx, upTo(k.random, 30*time.Millisecond))
		syscall.Kill(worker, syscall.SIGKILL)
		k.kills.worker++
		k.early++
		k.storm.journal.notef("worker %d killed early", worker)
	}
	if err := k.answered(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	k.storm.journal.notef("answered after %v", took)
	if !early {
		k.answers = append(k.answers, took)
	}
	return nil
}

// pointLimit is how long a point may keep the killer waiting.
var pointLimit = 500 * time.Millisecond * time.Duration(slowdown)

// killAt has the worker die at a point. It reports false if none came there in time.
func (k *killer) killAt(ctx context.Context, p supervisor.Point) (reached bool, err error) {
	d := k.storm.daemon
	if err := d.arm(p); err != nil {
		return false, err
	}
	for end := time.Now().Add(pointLimit); time.Now().Before(end) && k.wait(ctx, 2*time.Millisecond); {
		if _, err := os.Stat(d.trap()); err != nil {
			break
		}
	}
	if !d.disarm() {
		return false, nil
	}
	k.kills.worker++
	k.points[p]++
	k.storm.journal.notef("worker killed at the point %q", p)
	return true, k.answered(ctx)
}

// nextWorker waits for another worker than the one that is dead.
func (k *killer) nextWorker(ctx context.Context, dead int) (int, error) {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if pid := k.storm.daemon.worker(); pid != 0 && pid != dead {
			return pid, nil
		}
		if !k.wait(ctx, time.Millisecond) {
			return 0, context.Cause(ctx)
		}
	}
	return 0, fmt.Errorf("no worker in %v", patience)
}

// answered waits until the daemon has answered a request for everything.
func (k *killer) answered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		pm, err := k.storm.daemon.dial(ctx)
		if err == nil {
			_, err = pm.List(ctx)
			pm.Close()
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		if errors.Is(err, client.ErrNoDaemon) {
			return err
		}
	}
}

// killKeeper kills the keeper, and the worker just before or after it, and starts
// the daemon anew.
func (k *killer) killKeeper(ctx context.Context, both bool) error {
	d := k.storm.daemon
	keeper, ended := d.keeper()
	worker := 0
	if both {
		var err error
		if worker, err = k.nextWorker(ctx, 0); err != nil {
			return err
		}
	}
	k.mu.Lock()
	k.dark = append(k.dark, dark{from: time.Now(), to: time.Now().Add(24 * time.Hour)})
	k.mu.Unlock()
	if both && k.random.IntN(2) == 0 {
		syscall.Kill(worker, syscall.SIGKILL)
		k.wait(ctx, upTo(k.random, 2*time.Millisecond))
		both = false
	}
	syscall.Kill(keeper, syscall.SIGKILL)
	if both {
		syscall.Kill(worker, syscall.SIGKILL)
	}
	k.storm.journal.notef("keeper %d killed, worker %d (0: not)", keeper, worker)
	<-ended
	k.wait(ctx, upTo(k.random, 300*time.Millisecond))
	if err := d.launch(); err != nil {
		return err
	}
	if err := k.answered(ctx); err != nil {
		return err
	}
	k.mu.Lock()
	k.dark[len(k.dark)-1].to = time.Now()
	k.mu.Unlock()
	k.storm.journal.notef("the daemon is back")
	return nil
}

// sawAll reports whether one keeper lived all the time between two moments.
func (k *killer) sawAll(from, to time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !slices.ContainsFunc(k.dark, func(d dark) bool { return from.Before(d.to) && d.from.Before(to) })
}

// zombies are those that stay: the keeper is given time to wait for them.
func (k *killer) zombies() (stay []int) {
	stay = k.storm.daemon.zombies()
	for end := time.Now().Add(patience); len(stay) > 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		now := k.storm.daemon.zombies()
		stay = slices.DeleteFunc(stay, func(pid int) bool { return !slices.Contains(now, pid) })
	}
	return stay
}

// nag kills workers while the daemon ends.
func (k *killer) nag() {
	for range k.random.IntN(4) {
		time.Sleep(upTo(k.random, 150*time.Millisecond))
		if worker := k.storm.daemon.worker(); worker != 0 {
			syscall.Kill(worker, syscall.SIGKILL)
			k.storm.journal.notef("worker %d killed on its way out", worker)
		}
	}
}

func (k *killer) figures() string {
	text := fmt.Sprintf("%d workers killed (%d before they were ready), %d keepers, %d times both;\n", k.kills.worker, k.early, k.kills.keeper, k.kills.both)
	died := 0
	for _, n := range k.points {
		died += n
	}
	text += fmt.Sprintf("%d of the workers died at %d of the %d points between two steps;\n", died, len(k.points), len(points))
	if n := len(k.answers); n > 0 {
		slices.Sort(k.answers)
		at := func(percent int) time.Duration {
			return k.answers[min(n-1, n*percent/100)].Round(100 * time.Microsecond)
		}
		text += fmt.Sprintf("from death to answer: median %v, 90%% %v, 99%% %v, longest %v;\n", at(50), at(90), at(99), at(100))
	}
	return text
}
