package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// BenchmarkStart is what the message to the keeper adds to a start: the way from the
// request to a leader that runs and stands on its group, the definition on disk. A
// worker starts one process through its keeper and one that it clones by itself, in
// turn, each with a supervisor of its own. The medians are compared:
//
//	ns/start    through the keeper
//	ns/message  of that, what it takes longer than without
//	share       the one of the other: at most a fifth
//
// The test binary plays the keeper and the worker too.
func BenchmarkStart(b *testing.B) {
	hierarchy, err := cgroup.Find("/proc")
	if err != nil {
		b.Skip(err)
	}
	group := hierarchy.Group(fmt.Sprintf("pm-test-supervisor-%d", os.Getpid()))
	if err := group.Make(); err != nil {
		b.Skip(err)
	}
	defer func() {
		if err := group.Remove(); err != nil {
			b.Error(err)
		}
	}()
	plan, _ := json.Marshal(startPlan{Dir: b.TempDir(), Group: group.Path(), Starts: b.N})
	k := exec.Command("/proc/self/exe")
	k.Env = append(os.Environ(), startKeeperEnv+"="+string(plan))
	k.Stderr = os.Stderr
	out, err := k.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := k.Start(); err != nil {
		b.Fatal(err)
	}
	var took startTimes
	if err := json.NewDecoder(out).Decode(&took); err != nil {
		b.Error(err)
	}
	k.Process.Signal(unix.SIGTERM)
	io.Copy(io.Discard, out)
	if err := k.Wait(); err != nil {
		b.Fatal(err)
	}
	through, alone := median(took.Through), median(took.Alone)
	share := float64(through-alone) / float64(through)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(through), "ns/start")
	b.ReportMetric(float64(through-alone), "ns/message")
	b.ReportMetric(share, "share")
	if b.N >= 100 && share > 0.2 {
		b.Errorf("the message to the keeper takes %.0f%% of a start, want at most 20%%", 100*share)
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

const (
	startKeeperEnv = "PM_TEST_START_KEEPER" // holds a startPlan
	startWorkerArg = "-test-start-worker"
)

type startPlan struct {
	Dir, Group string
	Starts     int
}

type startTimes struct{ Through, Alone []time.Duration }

// playStartKeeper is the keeper of BenchmarkStart.
func playStartKeeper(plan string) error {
	if err := proc.Prepare(); err != nil {
		return err
	}
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	return keeper.Run(context.Background(), keeper.Config{
		Exe: exe, Args: []string{startWorkerArg}, Env: []string{"PATH=" + os.Getenv("PATH")}, Hello: []byte(plan),
	})
}

// playStartWorker writes startTimes to stdout, then waits for its shutdown.
func playStartWorker() error {
	if err := proc.Prepare(); err != nil {
		return err
	}
	link, hello, err := keeper.Connect(keeper.LinkFD)
	if err != nil {
		return err
	}
	var plan startPlan
	if err := json.Unmarshal(hello.Config, &plan); err != nil {
		return err
	}
	hierarchy, err := cgroup.Find("/proc")
	if err != nil {
		return err
	}
	open := func(name string, k Keeper) (*Supervisor, error) {
		group := hierarchy.Group(plan.Group).Child(name)
		if err := group.Make(); err != nil {
			return nil, err
		}
		dir := plan.Dir + "/" + name
		return Open(Config{
			State: dir, Runtime: dir, Groups: group, Keeper: k, Proc: "/proc", Dir: "/",
			Environ: os.Environ(), Log: log.New(os.Stderr, "", 0),
		})
	}
	through, err := open("through", link)
	if err != nil {
		return err
	}
	own := &ownChildren{}
	alone, err := open("alone", own)
	if err != nil {
		return err
	}
	own.exited = alone.Exited
	go func() {
		for x := range link.Exits() {
			through.Exited(x.Run, x.Exit)
		}
	}()
	if err := link.Ready(); err != nil {
		return err
	}
	var took startTimes
	for i := range plan.Starts {
		for turn := range 2 { // who was first is second the next time
			s, to := through, &took.Through
			if (i+turn)%2 == 1 {
				s, to = alone, &took.Alone
			}
			d, err := timeStart(s, fmt.Sprint("p", i))
			if err != nil {
				return err
			}
			*to = append(*to, d)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(took); err != nil {
		return err
	}
	<-link.Shutdown()
	return errors.Join(through.Close(), alone.Close())
}

// timeStart is how long a start takes. The process is deleted again.
func timeStart(s *Supervisor, name string) (time.Duration, error) {
	began := time.Now()
	_, err := s.Start(context.Background(), process.Spec{Name: name, Command: "exec sleep 1000", StopSignal: process.KILL})
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	return took, s.Delete(context.Background(), name)
}

// ownChildren clones leaders in this process.
type ownChildren struct {
	mu     sync.Mutex // proc.Spawn is for one caller at a time
	exited func(keeper.RunID, proc.Exit)
}

func (o *ownChildren) Spawn(_ context.Context, run keeper.RunID, c proc.Command) (proc.ID, error) {
	o.mu.Lock()
	id, err := proc.Spawn(c)
	o.mu.Unlock()
	if err == nil {
		go func() {
			var status unix.WaitStatus
			var usage unix.Rusage
			for {
				if _, err := unix.Wait4(id.PID, &status, 0, &usage); err != unix.EINTR {
					break
				}
			}
			o.exited(run, proc.DecodeExit(status, &usage, proc.BootTime()))
		}()
	}
	return id, err
}

func (o *ownChildren) Kill(keeper.RunID) error { return nil }
func (o *ownChildren) Drop(keeper.RunID) error { return nil }
