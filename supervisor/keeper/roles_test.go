package keeper

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// The test binary plays every part: the test, the keeper that it starts, and the
// worker that the keeper starts. The keeper is told by its environment, the worker
// by its argument and the configuration in HELLO.

const (
	keeperEnv  = "PM_TEST_KEEPER" // the configuration for the worker
	workerFlag = "-test-worker"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == proc.SettingsArg {
		for exists(hangFile) { // in the keeper's directory
			time.Sleep(time.Millisecond)
		}
		proc.Settle()
	}
	this = readProgram()
	if this.Protocol != 0 {
		protocol = byte(this.Protocol)
	}
	arg := ""
	if len(os.Args) > 1 {
		arg = os.Args[1]
	}
	switch config := os.Getenv(keeperEnv); {
	case arg == workerFlag:
		playWorker()
	case arg == CheckArg:
		os.Exit(playCheck())
	case arg == ResumeArg:
		os.Exit(playResumed())
	case config != "":
		os.Exit(playKeeper(config))
	default:
		os.Exit(m.Run())
	}
}

// hangFile makes starts with settings hang.
const hangFile = "hang"

// playKeeper runs a keeper with the listener on descriptor 3, and says how it ended.
func playKeeper(config string) int {
	if err := proc.Prepare(); err != nil {
		fmt.Println("prepare:", err)
		return 1
	}
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var b behaviour
	if err := json.Unmarshal([]byte(config), &b); err != nil {
		fmt.Println(err)
		return 1
	}
	lock, err := os.Create(b.Dir + "/lock")
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return keep(Config{
		Exe:       exe,
		Path:      b.Dir + "/program",
		Env:       []string{"PATH=" + os.Getenv("PATH")},
		Hello:     []byte(config),
		Listeners: []*os.File{os.NewFile(3, "listener")},
		Locks:     []*os.File{lock},
	})
}

// playResumed is a keeper that has replaced another one's program.
func playResumed() int {
	if err := proc.Prepare(); err != nil {
		fmt.Println("prepare:", err)
		return 1
	}
	c, err := Resume(os.Args[2])
	if err != nil {
		fmt.Println("resume:", err)
		return 1
	}
	return keep(c)
}

func keep(c Config) int {
	c.Args = []string{workerFlag}
	c.Log = func(format string, args ...any) { fmt.Printf("log: "+format+"\n", args...) }
	var b behaviour
	known := json.Unmarshal(c.Hello, &b) == nil
	c.Terminal = b.Terminal
	if known && b.Host {
		c.Host = Host{
			Told:     func(p Phase) { fmt.Printf("told: %s\n", p) },
			Ask:      20 * time.Millisecond,
			Answered: func(text string) { fmt.Printf("answered: %s\n", text) },
			Stays:    func() bool { return exists(b.Dir + "/stays") },
		}
	}
	if b.Group != "" {
		dir, err := os.Open(b.Group)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		c.Group = dir
	}
	if err := Run(context.Background(), c); err != nil {
		fmt.Println("ended:", err)
		return 1
	}
	fmt.Println("ended")
	return 0
}

// behaviour is the configuration of a test worker.
type behaviour struct {
	Dir          string // where it leaves files for the test
	Storm        int    // run that many, see storm
	Fail         string // say FAILED with this text and end
	DieUnready   bool   // end before READY
	DieAtOnce    bool   // end right after READY
	DieInTheEnd  bool   // end with status 1 at the first SHUTDOWN
	StayInTheEnd bool   // take no notice of SHUTDOWN
	KeepHands    bool   // take no notice of HANDOVER
	Host         bool   // the keeper has a host, which says what it is told
	Silent       bool   // do not answer how it is
	Group        string // the cgroup that workers are to be in
	Terminal     Terminal
}

func playWorker() {
	proc.Prepare()
	if this.Files != 0 {
		unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: this.Files, Max: this.Files})
	}
	link, hello, err := Connect(LinkFD)
	if err != nil {
		fmt.Println("connect:", err)
		os.Exit(1)
	}
	var b behaviour
	if err := json.Unmarshal(hello.Config, &b); err != nil {
		fmt.Println("behaviour:", err)
		os.Exit(1)
	}
	if this.Worker == "hang" {
		select {}
	}
	if this.Worker == "fail" {
		b.Fail = "it does not like the store"
	}
	if this.Worker == "die" || exists(b.Dir+"/die") {
		b.DieUnready = true
	}
	switch {
	case b.Fail != "":
		link.Failed(b.Fail)
		os.Exit(1)
	case b.DieUnready:
		os.Exit(7)
	}
	pid := []byte(strconv.Itoa(os.Getpid()))
	os.WriteFile(b.Dir+"/worker", pid, 0o600)
	link.Ready()
	if b.Storm > 0 {
		// The keeper answers in order: the trial of this worker is over.
		run := RunID{"accepted", 0}
		link.Spawn(context.Background(), run, proc.Command{Argv: []string{"/nowhere"}}, nil)
		link.Drop(run)
		os.WriteFile(b.Dir+"/accepted", pid, 0o600)
	}
	if b.DieAtOnce {
		os.Exit(0)
	}
	go func() {
		<-link.Done()
		if closing.Load() {
			return
		}
		os.WriteFile(b.Dir+"/orphaned", nil, 0o600)
		os.Exit(3)
	}()
	go func() {
		<-link.Shutdown()
		switch {
		case b.StayInTheEnd:
			os.WriteFile(b.Dir+"/asked", nil, 0o600)
		case b.DieInTheEnd && !hello.Shutdown:
			os.Exit(1)
		default:
			os.Exit(0)
		}
	}()
	go func() {
		for range link.Asked() {
			if !b.Silent {
				link.Well(strconv.Itoa(os.Getpid()))
			}
		}
	}()
	go func() {
		<-link.HandOver()
		if !b.KeepHands {
			serving.Wait()
			os.Exit(1)
		}
		os.WriteFile(b.Dir+"/asked", nil, 0o600)
	}()
	if b.Storm > 0 {
		storm(link, hello, b)
		select {}
	}
	serve(link, hello)
}

// request and reply are what a test and its worker say to each other.
type request struct {
	Op     string
	Run    RunID
	Argv   []string
	Env    []string
	Dir    string
	Group  string
	Output string
	Notify string // a file
	N      int

	Settings *proc.Settings
}

type reply struct {
	PID      int
	Program  string
	Upgrade  Upgrade
	Lost     int
	Number   uint64
	ID       proc.ID
	Held     []heldReply
	Exit     *ExitEvent
	Shutdown bool
	Step     proc.Step
	Errno    unix.Errno
	Err      string
	Took     time.Duration // all of it
	Spawns   time.Duration // of which in Spawn
}

type heldReply struct {
	Run    RunID
	ID     proc.ID
	Exit   *proc.Exit
	Err    string
	Output string // what the descriptor is
	Notify string // the same
}

// closing says that the worker itself has closed its link.
var closing atomic.Bool

// serving counts the requests that are not answered yet.
var serving sync.WaitGroup

// serve answers requests, each connection by itself.
func serve(link *Link, hello Hello) {
	l, err := net.FileListener(hello.Listeners[0])
	if err != nil {
		fmt.Println("listener:", err)
		os.Exit(1)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Println("accept:", err)
			os.Exit(1)
		}
		go func() {
			defer c.Close()
			in, out := json.NewDecoder(c), json.NewEncoder(c)
			var r request
			for in.Decode(&r) == nil {
				serving.Add(1)
				out.Encode(answer(link, hello, r))
				serving.Done()
				r = request{}
			}
		}()
	}
}

func answer(link *Link, hello Hello, r request) (a reply) {
	switch r.Op {
	case "hello":
		a.PID, a.Shutdown, a.Program, a.Upgrade, a.Lost = os.Getpid(), hello.Shutdown, this.Name, hello.Upgrade, hello.Lost
		for _, h := range hello.Held {
			held := heldReply{Run: h.Run, ID: h.ID, Exit: h.Exit}
			if h.SpawnErr != nil {
				held.Err = h.SpawnErr.Error()
			}
			if h.Output != nil {
				held.Output, _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", h.Output.Fd()))
			}
			if h.Notify != nil {
				held.Notify, _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", h.Notify.Fd()))
			}
			a.Held = append(a.Held, held)
		}
	case "spawn":
		var err error
		a.ID, err = spawnRequest(link, r)
		a.fail(err)
	case "keep":
		f, err := os.Open(r.Notify)
		if err == nil {
			err = link.Keep(r.Run, f)
			f.Close()
		}
		a.fail(err)
	case "help":
		exit, err := helpRequest(link, r)
		a.Exit = &ExitEvent{Exit: exit}
		a.fail(err)
	case "exit":
		e := <-link.Exits()
		a.Exit = &e
	case "drop":
		a.fail(link.Drop(r.Run))
	case "upgrade":
		var err error
		a.Number, err = link.Upgrade(context.Background())
		a.fail(err)
	case "spawn many":
		for i := range r.N {
			if _, err := link.Spawn(context.Background(), RunID{"many", uint64(i)}, proc.Command{Argv: r.Argv}, nil); err != nil {
				a.fail(err)
				break
			}
		}
		for range r.N {
			<-link.Exits()
		}
	case "close link":
		closing.Store(true)
		link.Close()
		os.WriteFile(r.Dir+"/closed", nil, 0o600)
		if r.N > 0 {
			select {}
		}
		time.Sleep(100 * time.Millisecond) // an exit that takes its time
		os.Exit(9)
	case "kill":
		a.fail(link.Kill(r.Run))
	case "benchmark spawn":
		a.fail(benchmarkSpawn(link, r, &a))
	case "benchmark message":
		a.fail(benchmarkMessage(link, r, &a))
	}
	return a
}

func (a *reply) fail(err error) {
	if err == nil {
		return
	}
	a.Err = err.Error()
	errors.As(err, &a.Errno)
	var s *proc.SpawnError
	if errors.As(err, &s) {
		a.Step = s.Step
	}
}

func benchmarkSpawn(link *Link, r request, a *reply) error {
	group, err := os.Open(r.Group)
	if err != nil {
		return err
	}
	defer group.Close()
	begin := time.Now()
	for i := range r.N {
		start := time.Now()
		_, err := link.Spawn(context.Background(), RunID{"bench", uint64(i)}, proc.Command{Argv: r.Argv, Group: group}, nil)
		if err != nil {
			return err
		}
		a.Spawns += time.Since(start)
		link.Drop((<-link.Exits()).Run)
	}
	a.Took = time.Since(begin)
	return nil
}

// benchmarkMessage asks for a run that is held: the answer costs the keeper nothing.
func benchmarkMessage(link *Link, r request, a *reply) error {
	run := RunID{"held", 0}
	begin := time.Now()
	for range r.N {
		var failed *proc.SpawnError
		_, err := link.Spawn(context.Background(), run, proc.Command{Argv: []string{"/missing"}}, nil)
		if !errors.Is(err, ErrHeld) && !errors.As(err, &failed) {
			return err
		}
	}
	a.Took = time.Since(begin)
	return nil
}

func spawnRequest(link *Link, r request) (proc.ID, error) {
	c := proc.Command{Argv: r.Argv, Env: r.Env, Dir: r.Dir, Settings: r.Settings}
	var notify *os.File
	if r.Notify != "" {
		f, err := os.Open(r.Notify)
		if err != nil {
			return proc.ID{}, err
		}
		defer f.Close()
		notify = f
	}
	if r.Group != "" {
		f, err := os.Open(r.Group)
		if err != nil {
			return proc.ID{}, err
		}
		defer f.Close()
		c.Group = f
	}
	if r.Output != "" {
		// Not os.OpenFile, which makes a FIFO non-blocking.
		fd, err := unix.Open(r.Output, unix.O_RDWR|unix.O_APPEND|unix.O_CLOEXEC, 0)
		if err != nil {
			return proc.ID{}, err
		}
		f := os.NewFile(uintptr(fd), r.Output)
		defer f.Close()
		c.Output = f
	}
	return link.Spawn(context.Background(), r.Run, c, notify)
}

// helpRequest asks for a helper, and gives up after r.N milliseconds.
func helpRequest(link *Link, r request) (proc.Exit, error) {
	ctx := context.Background()
	if r.N > 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(r.N)*time.Millisecond)
		defer cancel()
		ctx = limited
	}
	return link.Help(ctx, proc.Command{Argv: r.Argv, Env: r.Env, Dir: r.Dir, Settings: r.Settings})
}

// storm brings b.Storm runs to their end, however often it is killed meanwhile:
// each leaves a line in the file "starts", and each end a line in "ends" before
// it is dropped.
func storm(link *Link, hello Hello, b behaviour) {
	ends, err := os.OpenFile(b.Dir+"/ends", os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		panic(err)
	}
	known := make(map[RunID]bool)
	for lines := bufio.NewScanner(ends); lines.Scan(); {
		var e ExitEvent
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			known[e.Run] = true
		}
	}
	ends.Write([]byte{'\n'}) // a worker that was killed may have left half a line
	end := func(e ExitEvent) {
		line, _ := json.Marshal(e)
		ends.Write(append(line, '\n'))
		link.Drop(e.Run)
	}
	left := b.Storm
	for run := range known {
		left--
		link.Drop(run)
	}
	for _, h := range hello.Held {
		if known[h.Run] || h.Run.Name != "storm" {
			continue
		}
		known[h.Run] = true
		switch {
		case h.SpawnErr != nil:
			fmt.Println("start of", h.Run, h.SpawnErr)
		case h.Exit != nil:
			end(ExitEvent{h.Run, *h.Exit})
			left--
		}
	}
	if left == 0 {
		os.WriteFile(b.Dir+"/done", nil, 0o600)
	}
	go func() {
		for i := range b.Storm {
			run := RunID{"storm", uint64(i)}
			if known[run] {
				continue
			}
			c := proc.Command{Argv: []string{"/bin/sh", "-c", stormScript(b.Dir, i)}}
			if i%2 == 0 {
				c.Settings = &proc.Settings{Nice: new(1)}
			}
			_, err := link.Spawn(context.Background(), run, c, nil)
			if err != nil {
				fmt.Println("start of", run, err)
			}
		}
	}()
	for e := range link.Exits() {
		end(e)
		if left--; left == 0 {
			os.WriteFile(b.Dir+"/done", nil, 0o600)
		}
	}
}

// stormScript is a run of known end, see stormExit.
func stormScript(dir string, i int) string {
	script := []string{fmt.Sprintf("echo %d >> %s/starts", i, dir), "read x < /proc/uptime"}
	if i%5 == 0 {
		script = append(script, "(setsid /bin/true &)") // an orphan for the keeper
	}
	if i%3 == 0 {
		script = append(script, "kill -9 $$")
	} else {
		script = append(script, fmt.Sprintf("exit %d", i%256))
	}
	return strings.Join(script, "\n")
}

func stormExit(i int) (code int, signal unix.Signal) {
	if i%3 == 0 {
		return 0, unix.SIGKILL
	}
	return i % 256, 0
}
