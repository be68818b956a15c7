package integration

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// BenchmarkMessage is what the message to the keeper adds to a start, from the request
// on the socket to the answer that the leader runs. A worker serves two sockets, each
// with a supervisor of its own: one has its keeper clone, the other clones by itself.
// Starts alternate; the medians are compared:
//
//	ns/start    through the keeper
//	ns/message  of that, what it takes longer than without
//	share       the one of the other: at most a fifth
func BenchmarkMessage(b *testing.B) {
	plan := messagePlan{Dir: b.TempDir(), Group: newGroup(b)}
	if err := os.Mkdir(plan.Group, 0o755); err != nil {
		b.Fatal(err)
	}
	defer removeGroup(plan.Group)
	text, _ := json.Marshal(plan)
	k := exec.Command(programs.self, "role", "message-keeper", string(text))
	k.Stderr = os.Stderr
	if err := k.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		k.Process.Signal(unix.SIGTERM)
		if err := k.Wait(); err != nil {
			b.Error(err)
		}
	}()
	var ways [2]*client.Client
	for i, name := range []string{throughKeeper, aloneInWorker} {
		eventually(b, "the worker listens on "+name, func() (ok bool) {
			var err error
			ways[i], err = client.Dial(b.Context(), client.Config{Socket: plan.socket(name), Secret: []byte(theSecret)})
			return err == nil
		})
		defer ways[i].Close()
	}
	var took [2][]time.Duration
	for n := range b.N {
		for turn := range 2 {
			way := (n + turn) % 2 // who was first is second the next time
			name := fmt.Sprint("p", n)
			began := time.Now()
			_, err := ways[way].Start(b.Context(), process.Spec{Name: name, Command: "exec sleep 1000", Ending: process.Ending{StopSignal: process.KILL}})
			took[way] = append(took[way], time.Since(began))
			if err == nil {
				err = ways[way].Delete(b.Context(), name)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	through, alone := median(took[0]), median(took[1])
	share := float64(through-alone) / float64(through)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(through), "ns/start")
	b.ReportMetric(float64(through-alone), "ns/message")
	b.ReportMetric(share, "share")
	if b.N >= 100 { // fewer say too little
		promised(b, "the message to the keeper, as a share of a start", share, 0.2)
	}
}

func median[T cmp.Ordered](of []T) T {
	slices.Sort(of)
	return of[len(of)/2]
}

func init() {
	roles["message-keeper"] = func(args []string) { exitWith(playMessageKeeper(args[0])) }
	roles["message-worker"] = func([]string) { exitWith(playMessageWorker()) }
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The two ways to a leader, and the names of what belongs to each.
const (
	throughKeeper = "through"
	aloneInWorker = "alone"
)

type messagePlan struct{ Dir, Group string }

func (p messagePlan) socket(way string) string { return filepath.Join(p.Dir, way+".sock") }

// playMessageKeeper is the keeper of BenchmarkMessage.
func playMessageKeeper(plan string) error {
	if err := proc.Prepare(); err != nil {
		return err
	}
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	return keeper.Run(context.Background(), keeper.Config{
		Exe: exe, Args: []string{"role", "message-worker"}, Env: []string{"PATH=" + os.Getenv("PATH")}, Hello: []byte(plan),
	})
}

// playMessageWorker is its worker.
func playMessageWorker() error {
	if err := proc.Prepare(); err != nil {
		return err
	}
	link, hello, err := keeper.Connect(keeper.LinkFD)
	if err != nil {
		return err
	}
	var plan messagePlan
	if err := json.Unmarshal(hello.Config, &plan); err != nil {
		return err
	}
	through, err := plan.serve(throughKeeper, link)
	if err != nil {
		return err
	}
	own := &ownChildren{}
	alone, err := plan.serve(aloneInWorker, own)
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
	<-link.Shutdown()
	return errors.Join(through.Close(), alone.Close())
}

// serve opens a supervisor and listens for what it is to do.
func (p messagePlan) serve(way string, k lives.Keeper) (*supervisor.Supervisor, error) {
	hierarchy, err := cgroup.Find("/proc")
	if err != nil {
		return nil, err
	}
	group := hierarchy.Group(p.Group).Child(way)
	if err := group.Make(); err != nil {
		return nil, err
	}
	dir := filepath.Join(p.Dir, way)
	s, err := supervisor.Open(supervisor.Config{
		State: dir, Runtime: dir, Groups: group, Keeper: k, Proc: "/proc", Dir: "/",
		Environ: os.Environ(), Log: log.New(os.Stderr, "", 0),
	})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", p.socket(way))
	if err != nil {
		return nil, err
	}
	server := &telnet.Server{Secret: []byte(theSecret), Handler: verbHandler{s}, Log: log.Printf}
	go server.Serve(context.Background(), l)
	return s, nil
}

// verbHandler carries out what arrives, as the daemon's own does.
type verbHandler struct{ verbs.Manager }

func (h verbHandler) Handle(ctx context.Context, script string, _ telnet.SessionInfo) telnet.Reply {
	return asReply(verbs.RunText(ctx, h.Manager, script))
}

func (h verbHandler) Error(script, code, message string) telnet.Reply {
	return asReply(verbs.Refuse(script, code, message))
}

func asReply(a verbs.Answer) telnet.Reply {
	return telnet.Reply{JobID: a.JobID, Body: func(w io.Writer) error { return a.Write(w) }}
}

// ownChildren clones leaders in this process.
type ownChildren struct {
	mu     sync.Mutex // proc.Spawn is for one caller at a time
	exited func(keeper.RunID, proc.Exit)
}

func (o *ownChildren) Spawn(_ context.Context, run keeper.RunID, c proc.Command, _ *os.File) (proc.ID, error) {
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

func (o *ownChildren) Keep(keeper.RunID, *os.File) error { return nil }

func (o *ownChildren) Help(context.Context, proc.Command) (proc.Exit, error) {
	return proc.Exit{}, errors.ErrUnsupported
}
