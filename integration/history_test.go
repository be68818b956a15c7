package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// events are those that q asks for, without follow.
func (d *daemon) events(q process.EventQuery) (all []process.Event) {
	d.t.Helper()
	err := d.client().Events(d.context(), q, func(e process.Event) error {
		all = append(all, e)
		return nil
	})
	if err != nil {
		d.t.Fatalf("events: %v", err)
	}
	return all
}

// runsOf are the runs that q asks for.
func (d *daemon) runsOf(q process.RunQuery) ([]process.RunRecord, error) {
	list, err := d.client().Runs(d.context(), q)
	if err != nil {
		return nil, err
	}
	return slices.Collect(list), nil
}

// withoutGap fails the test unless the numbers count up by one from the first.
func withoutGap(t *testing.T, events []process.Event) {
	t.Helper()
	for i, e := range events {
		if e.Seq != events[0].Seq+uint64(i) || e.Time.IsZero() || e.Name == "" {
			t.Fatalf("event %d is %+v, the first is %d", i, e, events[0].Seq)
		}
	}
}

// The history has each run once, the oldest first, with how it ended, whatever died since.
func TestRunsAreTheHistory(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "exit $(cat code)"})
	d.rest("x")
	for _, code := range []string{"0", "3"} {
		if err := os.WriteFile(d.dir+"/code", []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		d.start(process.Spec{Name: "x", JobID: "job" + code})
		d.rest("x")
	}
	d.killWorker()
	d.set("x", "command", "kill -USR1 $$", "deadline", "1h")
	d.start(process.Spec{Name: "x"})
	d.rest("x")
	d.set("x", "command", "exec sleep 1000")
	d.start(process.Spec{Name: "x"})
	d.stop("x")
	d.set("x", "deadline", "10ms")
	d.start(process.Spec{Name: "x"})
	d.rest("x")
	d.set("x", "deadline", "")
	d.start(process.Spec{Name: "x"})
	d.end(unix.SIGTERM)
	d.launch()
	d.start(process.Spec{Name: "x"}) // it goes on, and is no part of it
	want := []string{"1 exit", "2 exit 0", "3 exit 3", "4 signal USR1", "5 stop TERM", "6 deadline TERM", "7 shutdown TERM"}
	check := func() {
		t.Helper()
		runs, err := d.runsOf(process.RunQuery{Name: process.Selection{"x"}})
		if err != nil || len(runs) != len(want) {
			t.Fatalf("%+v, %v", runs, err)
		}
		for i, r := range runs {
			got := fmt.Sprint(r.Number, " ", r.Cause)
			if r.ExitCode != nil && i > 0 {
				got += fmt.Sprint(" ", *r.ExitCode)
			}
			if r.Signal != 0 {
				got += fmt.Sprint(" ", r.Signal)
			}
			if got != want[i] || r.Name != "x" || r.Start.IsZero() || r.End.Before(r.Start) || i > 0 && r.Start.Before(runs[i-1].End) || r.CPU == nil {
				t.Errorf("run %d: got %q, want %q: %+v", i+1, got, want[i], r)
			}
		}
		if runs[2].JobID != "job3" || runs[3].JobID != "" {
			t.Errorf("job ids %q, %q", runs[2].JobID, runs[3].JobID)
		}
	}
	check()
	d.killWorker()
	check()

	out := d.mustClient("runs", "x", "-limit", "2", "-format", "json")
	var raw []map[string]any
	if err := json.Unmarshal([]byte(out), &raw); err != nil || len(raw) != 2 || raw[0]["run"] != 6.0 || raw[1]["run"] != 7.0 || raw[1]["cause"] != "shutdown" ||
		raw[0]["name"] != "x" || raw[0]["start_time"] == nil || raw[0]["uptime_seconds"] == nil || raw[0]["signal"] != "TERM" || strings.Count(out, "\n") != 1 {
		t.Errorf("%s, %v", out, err)
	}
	lines := strings.Split(d.mustClient("runs", "x"), "\n")
	if len(lines) != len(want)+2 || !strings.HasPrefix(lines[0], "NAME ") || !strings.Contains(lines[3], "exit, code 3") || !strings.Contains(lines[3], "job3") || !strings.Contains(lines[6], "deadline") {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
	d.mustClient("delete", "x")
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	if out := d.mustClient("runs", "x") + d.mustClient("runs", "x", "-format", "json"); out != "no run has ended yet\n[]\n" {
		t.Errorf("the history of another process of that name: %s", out)
	}
}

// A follower is told each event once and in order, whatever dies meanwhile.
func TestEventsAreToldOnce(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.finished("early", "exit 3")
	pm := d.dial(t)
	ctx, enough := context.WithCancel(d.context())
	told := make(chan process.Event, 1000)
	ended := make(chan error, 1)
	go func() {
		ended <- pm.Events(ctx, process.EventQuery{Follow: true}, func(e process.Event) error {
			told <- e
			return nil
		})
	}()
	var all []process.Event
	await := func(name string, kind process.EventKind) {
		t.Helper()
		for {
			select {
			case e := <-told:
				if all = append(all, e); e.Name == name && e.Kind == kind {
					return
				}
			case err := <-ended:
				t.Fatalf("it ended: %v", err)
			case <-ctx.Done():
				t.Fatalf("no %s of %s came after %+v", kind, name, all)
			}
		}
	}
	await("early", process.EventEnded)
	for i := range 4 {
		name := fmt.Sprint("x", i)
		d.start(process.Spec{Name: name, Command: "exec sleep 1000", JobID: "job"})
		await(name, process.EventStarted)
		d.killWorker()
		d.set(name, "deadline", "1h")
		d.stop(name)
		d.killWorker()
		if err := d.client().Delete(d.context(), name); err != nil {
			t.Fatal(err)
		}
		await(name, process.EventDeleted)
	}
	enough()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	withoutGap(t, all)
	if all[0].Seq != 1 {
		t.Errorf("the first is %+v", all[0])
	}
	var story []string
	for _, e := range all {
		if e.Name == "x1" {
			story = append(story, fmt.Sprintf("%s %d %s %s %s", e.Kind, e.Run, e.Cause, e.JobID, strings.Join(e.Fields, ",")))
		}
	}
	want := []string{"defined 0   ", "starting 1  job ", "started 1  job ", "changed 0   deadline", "stopping 1 stop job ", "ended 1 stop job ", "deleted 0   "}
	if !slices.Equal(story, want) {
		t.Errorf("got  %q\nwant %q", story, want)
	}
	// All of it again, in parts.
	again := d.events(process.EventQuery{})
	for i, e := range d.events(process.EventQuery{Since: 5}) {
		if e.Seq != again[i+5].Seq || e.Seq != uint64(i+6) {
			t.Fatalf("%+v", e)
		}
	}
	if len(again) != len(all) {
		t.Errorf("%d events, %d were told", len(again), len(all))
	}
	if more := d.events(process.EventQuery{Since: uint64(len(all))}); len(more) != 0 {
		t.Errorf("%+v", more)
	}
}

// What a run has begun is told though the worker dies before the event is on disk.
func TestStartIsToldThoughTheWorkerDiesAtOnce(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for i := range 10 {
		d.start(process.Spec{Name: fmt.Sprint("x", i), Command: "exec sleep 1000"})
		d.killWorker()
	}
	told := map[string]string{}
	eventually(t, "all is told", func() bool {
		clear(told)
		for _, e := range d.events(process.EventQuery{}) {
			told[e.Name] += fmt.Sprintf("%s %v; ", e.Kind, e.PID != 0)
		}
		return strings.Contains(told["x9"], "started")
	})
	for name, got := range told {
		if got != "defined false; starting false; started true; " {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Over the wire events are one object a line; without follow they end.
func TestEventsOverTheWire(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, name := range []string{"a", "batch-1", "batch-2"} {
		d.finished(name, "exit 3")
	}
	d.events(process.EventQuery{})
	w := d.session(t)
	lines := func(action string) (all []map[string]any) {
		t.Helper()
		for line := range strings.Lines(w.ask(action)) {
			var e map[string]any
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%s: %v in %q", action, err, line)
			}
			all = append(all, e)
		}
		return all
	}
	all := lines("!!process.events format:json")
	if len(all) != 12 {
		t.Fatalf("%v", all)
	}
	for i, e := range all {
		if e["seq"] != float64(i+1) || e["time"] == nil || e["name"] == nil || e["event"] == nil {
			t.Errorf("%v", e)
		}
		if e["event"] == "ended" && (e["cause"] != "exit" || e["exit_code"] != 3.0 || e["run"] != 1.0) {
			t.Errorf("%v", e)
		}
	}
	for names, want := range map[string]int{"a": 4, "batch-*": 8, "a,batch-1": 8, "nobody": 0, "no*": 0, "*": 12, "'a, batch-?'": 12} {
		if got := lines("!!process.events format:json name:" + names); len(got) != want {
			t.Errorf("%s: %v", names, got)
		}
	}
	if got := lines("!!process.events format:json since:8 name:batch-*"); len(got) != 4 || got[0]["seq"] != 9.0 {
		t.Errorf("%v", got)
	}
	for _, since := range []string{"-1", "1.5", "x", "1e3", "''", "18446744073709551616", strings.Repeat("9", 200)} {
		if answer := w.ask("!!process.events since:" + since); !strings.Contains(answer, "since: ") || !strings.Contains(answer, "0 or more") || strings.Count(answer, "\n") != 1 {
			t.Errorf("since:%s: %q", since, answer)
		}
	}
	for _, follow := range []string{"", " follow"} {
		for _, since := range []string{"13", "18446744073709551615"} {
			if answer := w.ask("!!process.events since:" + since + follow); !strings.Contains(answer, "no event "+since+", the last one is 12") || strings.Count(answer, "\n") != 1 {
				t.Errorf("of another store: %q", answer)
			}
		}
	}
	if answer := w.ask("!!process.events since:12"); answer != "" {
		t.Errorf("%q", answer)
	}
}

// Whoever follows sees each event when it comes, and ends with whoever reads.
func TestClientFollowsEvents(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, format := range []string{"text", "json"} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(programs.client, "-socket", d.socket, "-secret", theSecret, "events", "-follow", "x-*", "-format", format)
		cmd.Dir, cmd.Env, cmd.Stdout = d.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir}, writer
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		writer.Close()
		d.finished("x-"+format, "exit 3")
		// One line alone is less than any buffer.
		said := make([]byte, 1)
		if _, err := reader.Read(said); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		reader.Close() // now it is quiet, and nobody reads
		err = cmd.Wait()
		wrote := cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGPIPE // an event came after all
		if err != nil && !wrote {
			t.Errorf("%s: %v", format, err)
		}
	}
	said := d.following("events", "-follow")
	d.finished("y", "exit 3")
	eventually(t, "the end is told", func() bool { return strings.Contains(said(), "y ended run 1 (exit, code 3)") })

	cmd := exec.Command(programs.client, "-socket", d.socket, "-secret", theSecret, "events", "-follow")
	var out strings.Builder
	cmd.Env, cmd.Stderr = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir}, &out
	first, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	d.end(unix.SIGTERM)
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 69 || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("the daemon has ended: %v, %s", err, out.String())
	}
}

// A signal goes to the leader, or to everybody.
func TestSignal(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const loop = "; echo up; while :; do sleep 0.02; done"
	d.start(process.Spec{Name: "x", Command: `sh -c 'trap "echo child" HUP` + loop + `' & trap 'echo leader' HUP` + loop})
	eventually(t, "both are up", func() bool { return strings.Count(d.logs("x", 0), "up") == 2 })
	count := func(want string) {
		t.Helper()
		eventually(t, want, func() bool {
			text := d.logs("x", 0)
			return fmt.Sprintf("leader %d, child %d", strings.Count(text, "leader"), strings.Count(text, "child")) == want
		})
	}
	pid := d.status("x").PID
	for i, name := range []string{"HUP", "SIGHUP", "hup", "1"} {
		if out := d.mustClient("signal", "x", "-signal", name); out != fmt.Sprintf("process 'x': SIGHUP sent to pid %d\n", pid) {
			t.Error(out)
		}
		count(fmt.Sprintf("leader %d, child 0", i+1))
	}
	s, err := d.client().Signal(d.context(), "x", 1, true)
	if err != nil || s.Signalled < 2 || s.PID != pid {
		t.Errorf("%+v, %v", s, err)
	}
	count("leader 5, child 1")
	if out := d.mustClient("signal", "x", "HUP", "-tree"); !strings.HasSuffix(out, " processes\n") {
		t.Error(out)
	}
	count("leader 6, child 2")
	if _, err := d.client().Signal(d.context(), "x", process.KILL, false); err != nil {
		t.Error(err)
	}
	if s := d.rest("x"); s.Cause != process.CauseSignal || s.Run.Signal != process.KILL {
		t.Errorf("%+v", s)
	}
	for _, tree := range []string{"", " tree"} {
		if answer := d.session(t).ask("!!process.signal name:x signal:HUP format:json" + tree); !strings.Contains(answer, `"code":"not_running"`) {
			t.Errorf("%s", answer)
		}
	}
	if r := d.pmclient("signal", "x", "-signal", "HUP"); r.code != 1 || r.stderr != "pmclient: process 'x' does not run, so there is nobody to send a signal to\n" {
		t.Errorf("%+v", r)
	}
	if _, err := d.client().Signal(d.context(), "nope", 1, false); !errors.Is(err, process.ErrNotFound) {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"0", "65", "-1", "SIGSIGHUP", "", "hup hup", "0x1", strings.Repeat("1", 300)} {
		if r := d.pmclient("signal", "x", "-signal", bad); r.code != 2 || !strings.Contains(r.stderr, "signal: ") || strings.Count(r.stderr, "\n") != 1 || len(r.stderr) > 400 {
			t.Errorf("%.20q: %+v", bad, r)
		}
	}
}

// Where the leader has gone and its tree is being ended there is nobody but the tree.
func TestSignalWithoutALeader(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.mustClient("start", "x", "-stop_timeout", long, "-command",
		`sh -c 'trap "" TERM; trap "echo got" USR1; echo up; : >up; while :; do sleep 0.02; done' & until [ -e up ]; do sleep 0.02; done`)
	d.await("x", "without a leader", func(s process.Status) bool { return s.State == process.Stopping && s.PID == 0 })
	if r := d.pmclient("signal", "x", "-signal", "USR1"); r.code != 1 || !strings.Contains(r.stderr, "its main process has ended") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("%+v", r)
	}
	if out := d.mustClient("signal", "x", "-signal", "STOP", "-tree"); strings.Contains(out, "pid") || !strings.Contains(out, " process") {
		t.Error(out)
	}
	d.mustClient("signal", "x", "-signal", "CONT", "-tree")
	eventually(t, "the tree gets it", func() bool {
		d.mustClient("signal", "x", "-signal", "USR1", "-tree")
		return strings.Contains(d.logs("x", 0), "got")
	})
	d.set("x", "stop_timeout", "0")
	if s := d.rest("x"); s.Cause != process.CauseExit || s.LeftBehind == nil {
		t.Errorf("%+v", s)
	}
}

// A reader that comes back with its number, by hand or by itself, gets each event once, whoever
// died: the worker, the keeper, both; and after an upgrade.
func TestEventsGoOnWhoeverDies(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, setup{})
	said := d.following("events", "-f", "-format", "json")
	seqs := func() (list []uint64) {
		for line := range strings.Lines(said()) {
			var e process.Event
			if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &e) == nil {
				list = append(list, e.Seq)
			}
		}
		return list
	}
	both := func() {
		worker := d.worker()
		unix.Kill(d.keeper(), unix.SIGKILL)
		unix.Kill(worker, unix.SIGKILL)
		d.wait()
		d.hangUp()
		d.launch()
	}
	for i, die := range []func(){
		d.killWorker, both, func() { replace(otherProgram(t)); d.hangUp(); d.upgraded() },
		func() { unix.Kill(d.keeper(), unix.SIGKILL); d.wait(); d.hangUp(); d.launch() },
	} {
		d.finished(fmt.Sprint("x", i), "exit 3")
		die()
		d.finished(fmt.Sprint("y", i), "exit 3")
		last := d.events(process.EventQuery{})
		eventually(t, "all is told", func() bool { list := seqs(); return len(list) > 0 && list[len(list)-1] >= last[len(last)-1].Seq })
	}
	list := seqs()
	for i, seq := range list {
		if seq != uint64(i+1) {
			t.Fatalf("event %d comes at %d: %v", seq, i+1, list)
		}
	}
}

// Over all processes the runs come in the order in which they ended, and are found by what they
// were.
func TestRunsOfAllAreFound(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for i, command := range []string{"exit 3", "true", "kill -9 $$", "exit 3"} {
		d.start(process.Spec{Name: string("dbca"[i]), Command: command, JobID: fmt.Sprint("j", i)})
		d.rest(string("dbca"[i]))
	}
	for args, want := range map[string]string{"-all": "dbca", "-all -failed": "dca", "-all -failed -n 2": "ca", "-all -cause signal": "c", "-all -jobid j1": "b", "-all -since 1h": "dbca",
		"-all -until 1h": "", "-all -since 1h -failed": "dca", "a,b": "ab", "b -failed": "", "*": "abcd"} {
		out := d.mustClient(append([]string{"runs", "-format", "json"}, strings.Fields(args)...)...)
		var list []struct{ Name string }
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Errorf("%s: %v in %s", args, err, out)
		}
		got := ""
		for _, r := range list {
			got += r.Name
		}
		if got != want {
			t.Errorf("%s: got %s, not %s", args, got, want)
		}
	}
	if out := d.mustClient("events", "-since", "1h", "-failed"); strings.Count(out, "\n") != 3 || !strings.Contains(out, "c ended run 1 (signal, SIGKILL)") {
		t.Error(out)
	}
	if out := d.mustClient("events", "-n", "1"); strings.Count(out, "\n") != 1 || !strings.Contains(out, "a ended run 1") {
		t.Error(out)
	}
}
