package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// facts are what the tree of one run has told in its file:
//
//	start RUN PID    first of all
//	child RUN PID    from others of the tree
//	exit RUN CODE    just before the leader exits
//	signal RUN N     just before the leader sends itself a signal
//	lines RUN COUNT  how many lines it has written
//	ready RUN 1      from now on its probe says that it is ready
//	sick RUN 1       from now on its probe says that it is not well
type facts struct {
	leader   int
	children []int
	exit     *int
	signal   int
	lines    int // -1: not told
	ready    bool
	sick     bool
}

// story is what all runs of one process have told.
type story struct {
	file string
	runs map[uint64]*facts
}

// readStory fails when a run has been started twice.
func readStory(file string) (story, error) {
	s := story{file, map[uint64]*facts{}}
	data, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return s, err
	}
	for line := range strings.Lines(string(data)) {
		var what string
		var run uint64
		var n int
		if _, err := fmt.Sscan(line, &what, &run, &n); err != nil || !strings.HasSuffix(line, "\n") {
			return s, fmt.Errorf("%s: %q: %v", file, line, err)
		}
		f := s.runs[run]
		if f == nil {
			f = &facts{lines: -1}
			s.runs[run] = f
		}
		switch what {
		case "start":
			if f.leader != 0 {
				return s, fmt.Errorf("run %d was started twice: pids %d and %d", run, f.leader, n)
			}
			f.leader = n
		case "child":
			f.children = append(f.children, n)
		case "exit":
			f.exit = &n
		case "signal":
			f.signal = n
		case "lines":
			f.lines = n
		case "ready":
			f.ready = true
		case "sick":
			f.sick = true
		}
	}
	return s, nil
}

// pids are those that a run has told of, the leader first.
func (f *facts) pids() []int { return append([]int{f.leader}, f.children...) }

// burned is the CPU time that the leader itself has measured.
func (s story) burned(run uint64) (total time.Duration) {
	data, _ := os.ReadFile(fmt.Sprintf("%s.cpu.%d", s.file, run))
	first, _, _ := strings.Cut(string(data), "\n") // its own, not its children's
	for word := range strings.FieldsSeq(first) {   // 0m0.120000s
		minutes, seconds, _ := strings.Cut(strings.TrimSuffix(word, "s"), "m")
		m, _ := strconv.ParseFloat(minutes, 64)
		sec, _ := strconv.ParseFloat(seconds, 64)
		total += time.Duration((m*60 + sec) * float64(time.Second))
	}
	return total
}
