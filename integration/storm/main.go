package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	seed      uint64
	duration  time.Duration
	processes int
	kills     weights
	pause     time.Duration
	median    time.Duration
	bin       string
	cgroup    string
	files     int
	disk      string
}

func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("storm", flag.ContinueOnError)
	f.SetOutput(stderr)
	o.kills = weights{worker: 100, keeper: 2, both: 2}
	f.Uint64Var(&o.seed, "seed", rand.Uint64(), "of all choices (default: a new one)")
	f.DurationVar(&o.duration, "duration", 30*time.Second, "how long to kill")
	f.IntVar(&o.processes, "processes", 50, "how many processes are kept busy")
	f.DurationVar(&o.pause, "pause", 400*time.Millisecond, "the longest time from an answer of the worker to its next death")
	f.DurationVar(&o.median, "median", 200*time.Millisecond, "within which half of the workers must answer after the death of the one before")
	f.Var(&o.kills, "kill", "who is killed, and how often compared with the others")
	f.StringVar(&o.bin, "bin", "", "the `processmanager` to test (default: it is built)")
	f.StringVar(&o.cgroup, "cgroup", os.Getenv("PM_CGROUP"), "the `directory` of cgroup v2 to work below (default: its mount)")
	f.IntVar(&o.files, "files", 0, "how many files the daemon may open (ulimit -n; 0: as many as we): near the number of processes it must refuse some")
	f.StringVar(&o.disk, "disk", "", "what the disk of the state directory does all the time: `fills` or freezes")
	if err := f.Parse(args[1:]); err != nil {
		return o, err
	}
	if o.disk != "" && disks[o.disk] == nil {
		return o, fmt.Errorf("-disk %s: fills or freezes is expected", o.disk)
	}
	if f.NArg() > 0 || o.processes < 1 || o.kills.sum() < 1 {
		f.Usage()
		return o, fmt.Errorf("unexpected arguments %q", args[1:])
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if o.disk != "" && os.Getenv(namespaceEnv) == "" {
		return inNamespace(args, stdout, stderr)
	}
	dir, err := os.MkdirTemp("", "pm-storm-")
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := o.defaults(ctx, dir); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	fmt.Fprintf(stdout, "storm -seed %d -duration %v -processes %d -kill %v", o.seed, o.duration, o.processes, &o.kills)
	if o.files > 0 {
		fmt.Fprintf(stdout, " -files %d", o.files)
	}
	if o.disk != "" {
		fmt.Fprintf(stdout, " -disk %s", o.disk)
	}
	fmt.Fprintln(stdout)
	s, err := newStorm(o, dir, stdout)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	if o.disk != "" {
		if s.onDisk, err = mountDisk(dir+"/image", s.daemon.state); err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		defer s.onDisk.unmount()
	}
	err = s.run(ctx)
	s.daemon.sweep()
	fmt.Fprint(stdout, s.figures())
	if err != nil {
		fmt.Fprintf(stdout, "--- the last events\n%s--- the daemon's log\n%s--- FAILED with -seed %d: %v\n",
			s.journal.last(), tail(s.daemon.log.text(), 400), o.seed, err)
		return 1
	}
	fmt.Fprintln(stdout, "ok")
	return 0
}

// defaults builds the program and finds cgroup v2, where they were not given.
func (o *options) defaults(ctx context.Context, dir string) (err error) {
	if o.bin == "" {
		o.bin = dir + "/processmanager"
		build := exec.CommandContext(ctx, "go", "build", "-o", o.bin, "github.com/freeflowuniverse/processmanager/cmd/processmanager")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	if o.cgroup == "" {
		data, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return err
		}
		if o.cgroup = mountOf(string(data), "cgroup2"); o.cgroup == "" {
			return fmt.Errorf("cgroup v2 is not mounted")
		}
	}
	o.cgroup = fmt.Sprintf("%s/pm-storm-%d", o.cgroup, os.Getpid())
	return nil
}

// mountOf is where a file system of a type is mounted first.
func mountOf(mountinfo, kind string) string {
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, kind+" ") && len(fields) > 4 {
			return fields[4]
		}
	}
	return ""
}

// weights say how often each is killed, written worker=100,keeper=2,both=2.
type weights struct{ worker, keeper, both int }

func (w *weights) sum() int { return w.worker + w.keeper + w.both }

func (w *weights) String() string {
	return fmt.Sprintf("worker=%d,keeper=%d,both=%d", w.worker, w.keeper, w.both)
}

func (w *weights) Set(text string) error {
	*w = weights{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(part, "=")
		n, err := strconv.Atoi(value)
		if !found {
			n, err = 1, nil
		}
		of, known := map[string]*int{"worker": &w.worker, "keeper": &w.keeper, "both": &w.both}[name]
		if !known || err != nil || n < 0 {
			return fmt.Errorf("%q is not worker, keeper or both with a weight", part)
		}
		*of = n
	}
	return nil
}

// tail is the last lines of text.
func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}
