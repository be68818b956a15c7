package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// kind is a sort of command, and what may be expected of it.
type kind struct {
	name   string
	ends   bool // by itself, unless it is asked before
	leaves bool // others behind when the leader ends
	script func(r *rand.Rand) string
	spec   func(r *rand.Rand, s *process.Spec)
	probes func(file string, s *process.Spec) // that look into what it tells; nil: there are none
}

// preamble tells that a run has started. $S is the file for what only the tree knows;
// one short echo to it is one write. The shell's own words about signals go nowhere.
const preamble = `exec 2>/dev/null; R=$PROCESSMANAGER_RUN; export S R; say() { echo "$*" >>"$S"; }; say start $R $$
`

var kinds = []kind{
	{name: "plain", script: text("exec sleep 1000")},
	{name: "polite", script: text(`trap 'say exit $R 5; exit 5' TERM; while :; do sleep 1000 & wait; done`)},
	{name: "exits", ends: true, script: func(r *rand.Rand) string {
		code := r.IntN(126)
		return fmt.Sprintf("sleep %.3f; say exit $R %d; exit %d", r.Float64(), code, code)
	}},
	{name: "quick", ends: true, script: func(r *rand.Rand) string {
		code := r.IntN(126)
		return fmt.Sprintf("say exit $R %d; exit %d", code, code)
	}},
	{name: "signals itself", ends: true, script: func(r *rand.Rand) string {
		signal := []int{1, 9, 10, 14, 15}[r.IntN(5)]
		return fmt.Sprintf("sleep %.3f; say signal $R %d; kill -%d $$", r.Float64(), signal, signal)
	}},
	{name: "tree", script: text(`for i in 1 2 3; do setsid sh -c 'echo child $R $$ >>"$S"; exec sleep 1000' & done; wait`)},
	{name: "leaves a tree", ends: true, leaves: true, script: func(r *rand.Rand) string {
		code := r.IntN(2) * 33
		return fmt.Sprintf(`setsid sh -c 'echo child $R $$ >>"$S"; exec sleep 1000' & sleep %.3f; say exit $R %d; exit %d`, r.Float64(), code, code)
	}},
	{name: "deaf", script: text(`trap '' TERM; while :; do sleep 1000; done`),
		spec: func(r *rand.Rand, s *process.Spec) { s.StopTimeout = new(milliseconds(r, 0, 500)) }},
	{name: "deadline", script: text("exec sleep 1000"),
		spec: func(r *rand.Rand, s *process.Spec) { s.Deadline = milliseconds(r, 100, 2000) }},
	{name: "deaf deadline", script: text(`trap '' TERM; while :; do sleep 1000; done`),
		spec: func(r *rand.Rand, s *process.Spec) {
			s.Deadline, s.StopTimeout = milliseconds(r, 100, 2000), new(milliseconds(r, 0, 500))
		}},
	{name: "cron", ends: true, script: text(`sleep 0.0$((R % 10)); say exit $R $((R % 100)); exit $((R % 100))`),
		spec: func(r *rand.Rand, s *process.Spec) { s.Cron = "@every 1s" }},
	{name: "cron that logs", ends: true, script: text(`for i in 1 2 3 4 5 6 7 8 9; do echo line $R $i; done; say lines $R 9; say exit $R 0; exit 0`),
		spec: func(r *rand.Rand, s *process.Spec) { s.Cron, s.Log = "@every 1s", true }},
	{name: "burst", ends: true, script: func(r *rand.Rand) string { // more than a pipe holds, most of the time
		return fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo line $R $i 0123456789012345678901234567890123456789012345678901234567890123456789; done
			say lines $R $i; say exit $R 0; exit 0`, 1+r.IntN(3000/slowdown))
	}, spec: func(r *rand.Rand, s *process.Spec) { s.Log = true }},
	{name: "drip", script: text(`i=0; trap 'say lines $R $i; say exit $R 7; exit 7' TERM
		while :; do for k in 1 2 3 4 5; do echo line $R $((i+1)); i=$((i+1)); done; sleep 0.1; done`),
		spec: func(r *rand.Rand, s *process.Spec) { s.Log = true }},
	{name: "crashes", ends: true, script: func(r *rand.Rand) string {
		code := 1 + r.IntN(125)
		return fmt.Sprintf("sleep %.3f; say exit $R %d; exit %d", r.Float64(), code, code)
	}, spec: comesBack(process.RestartOnFailure)},
	{name: "crashes and recovers", ends: true, script: text(`C=$((R % 4)); say exit $R $C; exit $C`), spec: comesBack(process.RestartOnFailure)},
	{name: "always comes back", ends: true, script: text(`C=$((R % 2)); say exit $R $C; exit $C`), spec: comesBack(process.RestartAlways)},
	{name: "kills itself and comes back", ends: true, script: func(r *rand.Rand) string {
		signal := []int{1, 9, 10, 14, 15}[r.IntN(5)]
		return fmt.Sprintf("sleep %.3f; say signal $R %d; kill -%d $$", r.Float64(), signal, signal)
	}, spec: comesBack(process.RestartOnFailure)},
	{name: "serves until its deadline", script: text("exec sleep 1000"), spec: func(r *rand.Rand, s *process.Spec) {
		comesBack(process.RestartOnFailure)(r, s)
		s.Deadline = milliseconds(r, 100, 2000)
	}},
	{name: "serves", script: text("exec sleep 1000"), spec: comesBack(process.RestartAlways)},
	{name: "becomes ready", script: func(r *rand.Rand) string {
		return fmt.Sprintf("sleep %.3f; say ready $R 1; exec sleep 1000", r.Float64())
	}, spec: comesBack(process.RestartAlways), probes: func(file string, s *process.Spec) { s.Ready = asks("ready", file) }},
	{name: "becomes ready by its log", script: func(r *rand.Rand) string {
		return fmt.Sprintf("echo line $R 1; sleep %.3f; echo line $R 2; say ready $R 1; echo line $R 3; say lines $R 3; exec sleep 1000", r.Float64())
	}, spec: func(r *rand.Rand, s *process.Spec) { s.Log, s.Ready = true, "log:^line [0-9]+ 3$" }},
	{name: "is never ready", ends: true, script: text("exec sleep 1000"), spec: func(r *rand.Rand, s *process.Spec) {
		comesBack(process.RestartOnFailure)(r, s)
		s.Ready, s.ReadyTimeout = "exec:exit 1", milliseconds(r, 100, 1500)
	}},
	{name: "falls ill", ends: true, script: func(r *rand.Rand) string {
		return fmt.Sprintf("say ready $R 1; sleep %.3f; say sick $R 1; exec sleep 1000", 2*r.Float64())
	}, spec: func(r *rand.Rand, s *process.Spec) {
		comesBack(process.RestartOnFailure)(r, s)
		s.HealthPeriod, s.HealthTimeout, s.HealthFailures = milliseconds(r, 300, 1000), time.Minute, 1+r.IntN(2)
	}, probes: func(file string, s *process.Spec) {
		s.Ready, s.Health = asks("ready", file), "exec:! "+strings.TrimPrefix(asks("sick", file), "exec:")
	}},
	{name: "burns", ends: true, script: func(r *rand.Rand) string {
		return fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); done; times >"$S.cpu.$R"; say exit $R 0; exit 0`, r.IntN(300_000/slowdown))
	}},
}

// asks is a probe that finds out whether a run has told something.
func asks(what, file string) string {
	return fmt.Sprintf(`exec:grep -q "^%s $PROCESSMANAGER_RUN " '%s'`, what, file)
}

// comesBack is for services, whose delays stay short.
func comesBack(policy process.RestartPolicy) func(*rand.Rand, *process.Spec) {
	return func(r *rand.Rand, s *process.Spec) {
		s.Restart, s.RestartMaxDelay = policy, milliseconds(r, 1000, 3000)
	}
}

func text(s string) func(*rand.Rand) string { return func(*rand.Rand) string { return s } }

func milliseconds(r *rand.Rand, from, to int) time.Duration {
	return time.Duration(from+r.IntN(to-from)) * time.Millisecond
}

// invent makes up a process whose tree tells what it knows in a file.
func invent(r *rand.Rand, name, file string) (kind, process.Spec) {
	k := kinds[r.IntN(len(kinds))]
	s := process.Spec{Name: name, Command: fmt.Sprintf("# %s\nS='%s'; %s%s", k.name, file, preamble, k.script(r))}
	if k.spec != nil {
		k.spec(r, &s)
	}
	if k.probes != nil {
		k.probes(file, &s)
	}
	return k, s
}

// upTo is a time shorter than d.
func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
