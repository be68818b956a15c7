package client_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// soon is enough for anything that happens at all.
const soon = time.Minute

// memory is a Manager that keeps processes in memory and runs none.
type memory struct {
	mu     sync.Mutex
	all    map[string]process.Status
	calls  map[string]int
	output []byte
	hold   chan struct{} // Stop waits for it, if not nil
	held   chan struct{} // Stop has begun
	err    error         // of every Status

	applied process.Application // the last one
}

func newMemory() *memory {
	return &memory{all: map[string]process.Status{}, calls: map[string]int{}, held: make(chan struct{}, 100)}
}

func (m *memory) called(what string) func() {
	m.mu.Lock()
	m.calls[what]++
	return m.mu.Unlock
}

func (m *memory) count(what string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[what]
}

func (m *memory) StartSpec(_ context.Context, spec process.Spec, how process.How) (process.Status, error) {
	defer m.called("start")()
	if _, ok := m.all[spec.Name]; ok && !how.Replace {
		return process.Status{}, process.Errorf(process.CodeExists, "there is a process '%s' already", spec.Name)
	}
	s := process.NewStatus(spec, process.Running)
	s.PID, s.Number = 42, 1
	m.all[spec.Name] = s
	return s, nil
}

func (m *memory) Define(_ context.Context, spec process.Spec) (process.Status, error) {
	defer m.called("define")()
	m.all[spec.Name] = process.NewStatus(spec, process.Stopped)
	return m.all[spec.Name], nil
}

func (m *memory) Apply(_ context.Context, a process.Application) ([]process.Applied, error) {
	defer m.called("apply")()
	m.applied = a
	return []process.Applied{
		{Name: "a", Action: process.ApplyNew, Source: a.Path, State: process.Running, Run: 1, PID: 7},
		{Name: "b", Action: process.ApplyChanged, Fields: []string{"dir"}, Err: process.Errorf(process.CodeStore, "no disk")},
	}, nil
}

func (m *memory) Export(_ context.Context, of process.Selection) (all []process.Exported, err error) {
	defer m.called("export")()
	for _, name := range of {
		if _, ok := m.all[name]; ok {
			all = append(all, process.Exported{Name: name, Text: "!!process.define name:" + name + "\n"})
		} else {
			all = append(all, process.Exported{Name: name, Err: process.NotFound(name)})
		}
	}
	return all, nil
}

func (m *memory) stop(name string) (process.Status, error) {
	unlock := m.called("stop")
	s, ok := m.all[name]
	if ok {
		s.State, s.PID = process.Stopped, 0
		m.all[name] = s
	}
	unlock()
	m.held <- struct{}{}
	if m.hold != nil {
		<-m.hold
	}
	if !ok {
		return s, process.Errorf(process.CodeNotFound, "no process '%s'", name)
	}
	return s, nil
}

// Do knows plain names.
func (m *memory) Do(_ context.Context, of process.Selection, op process.Operation) (list []process.Outcome, err error) {
	for _, name := range of {
		o := process.Outcome{Name: name}
		switch op := op.(type) {
		case process.Stop:
			o.Status, o.Err = m.stop(name)
		case process.Restart:
			o.Status = m.again("restart", name, op.JobID)
		case process.StartAgain:
			o.Status = m.again("start", name, op.JobID)
		case process.Delete:
			m.delete(name)
		case process.Pause:
			o.Status = m.all[name]
			o.Status.State = process.Paused
			m.all[name] = o.Status
		case process.Resume:
			o.Status = m.all[name]
			o.Status.State = process.Running
			m.all[name] = o.Status
		case process.Set:
			o.Status, o.Err = m.set(name, op)
		case process.SchedulePause:
			o.Status = m.schedule(name, func(s *process.Status) { s.SchedulePaused = true })
		case process.ScheduleResume:
			o.Status = m.schedule(name, func(s *process.Status) { s.SchedulePaused = false })
		case process.SkipNext:
			o.Status = m.schedule(name, func(s *process.Status) { s.SkipTime = three })
		case process.SendSignal:
			o.Status = m.all[name]
			o.Status.Signalled = int(op.Signal)
		}
		list = append(list, o)
	}
	return list, nil
}

func (m *memory) again(what, name, jobID string) process.Status {
	defer m.called(what)()
	s := m.all[name]
	s.State, s.Number, s.Run.JobID = process.Running, s.Number+1, cmp.Or(jobID, s.Run.JobID)
	m.all[name] = s
	return s
}

func (m *memory) delete(name string) {
	defer m.called("delete")()
	delete(m.all, name)
}

func (m *memory) set(name string, op process.Set) (s process.Status, err error) {
	defer m.called("set")()
	s = m.all[name]
	s.Spec, err = s.Spec.With(op.Settings)
	m.all[name] = s
	return s, err
}

func (m *memory) Execute(_ context.Context, e process.Exec, w process.Watcher) error {
	m.called(fmt.Sprintf("exec %s %q, run %d from %d", e.Spec.Name, e.Spec.Command, e.Run, e.From))()
	w.Begun(1)
	n, _ := w.Write([]byte("hello\n"))
	w.Offset(int64(n))
	return w.Ended(process.Waited{Name: e.Spec.Name, State: process.Completed, Run: process.Run{Number: 1, Cause: process.CauseExit, ExitCode: new(3)}})
}

func (m *memory) Await(ctx context.Context, of process.Selection, w process.WaitFor) (list []process.Waited, err error) {
	m.called(fmt.Sprintf("wait %v for %s, run %v", of, w.Until, w.Runs))()
	for _, name := range of {
		run := process.Run{Number: m.all[name].Number, Cause: process.CauseExit, ExitCode: new(0)}
		list = append(list, process.Waited{Name: name, State: process.Completed, Run: run, Err: m.err})
	}
	return list, nil
}

func (m *memory) Show(_ context.Context, of process.Selection, _ process.Detail) (all []process.Outcome, err error) {
	what := "status"
	if len(of) == 0 {
		what = "list"
	}
	defer m.called(what)()
	for _, name := range of {
		all = append(all, process.Outcome{Name: name, Status: m.all[name], Err: m.err})
	}
	if len(of) == 0 {
		for name, s := range m.all {
			all = append(all, process.Outcome{Name: name, Status: s})
		}
	}
	slices.SortFunc(all, func(a, b process.Outcome) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func (m *memory) Runs(_ context.Context, q process.RunQuery) (iter.Seq[process.RunRecord], error) {
	defer m.called("runs")()
	return slices.Values([]process.RunRecord{{Name: q.Name.String(), Run: process.Run{Number: uint64(q.Limit)}}}), nil
}

// three is a time of every schedule.
var three = time.Date(2030, 5, 1, 3, 0, 0, 0, time.UTC)

// Next has so many nights.
func (m *memory) Next(_ context.Context, of process.Selection, most int) (all []process.Coming, err error) {
	defer m.called("next")()
	for i := range most {
		all = append(all, process.Coming{Name: of.String(), Time: three.AddDate(0, 0, i), Start: three.AddDate(0, 0, i)})
	}
	return all, nil
}

func (m *memory) Reclaim(_ context.Context, of process.Selection, bytes uint64) (all []process.Reclaimed, err error) {
	defer m.called("reclaim")()
	for _, name := range of {
		r := process.Reclaimed{Name: name, Asked: bytes, Before: 3 * bytes, After: 2 * bytes, All: true}
		if name == "nobody" {
			r = process.Reclaimed{Name: name, Err: process.Errorf(process.CodeNotFound, "no process '%s'", name)}
		}
		all = append(all, r)
	}
	return all, nil
}

func (m *memory) Tree(_ context.Context, of process.Selection) (all []process.Tree, err error) {
	defer m.called("tree")()
	for _, name := range of {
		if name == "nobody" {
			all = append(all, process.Tree{Name: name, Err: process.Errorf(process.CodeNotFound, "no process '%s'", name)})
			continue
		}
		all = append(all, process.Tree{Name: name, State: process.Running, Runs: []process.RunTree{{Run: 1, State: process.Running, PID: 7, Processes: []process.KernelProcess{{PID: 7, Command: "\x1b\n"}}}}})
	}
	return all, nil
}

func (m *memory) schedule(name string, change func(*process.Status)) process.Status {
	defer m.called("schedule")()
	s := m.all[name]
	s.Spec.Name = name
	change(&s)
	m.all[name] = s
	return s
}

// Ledger has the first time and those of two nights without a daemon, from since on.
func (m *memory) Ledger(_ context.Context, of process.Selection, since time.Time) (all []process.LedgerRecord, err error) {
	defer m.called("ledger")()
	for _, e := range []process.LedgerEntry{
		{Time: three, Outcome: process.Ran, Run: 1, LateSeconds: 0.01},
		{Time: three.AddDate(0, 0, 1), Outcome: process.Missed, Reason: "no daemon ran", From: three.AddDate(0, 0, 1), To: three.AddDate(0, 0, 2), Count: 2},
	} {
		if !e.Time.Before(since) {
			all = append(all, process.LedgerRecord{Name: of.String(), LedgerEntry: e})
		}
	}
	return all, nil
}

// Events tells of 3; each time it is asked, what is behind q.Since.
func (m *memory) Events(ctx context.Context, q process.EventQuery, tell func(process.Event) error) error {
	defer m.called("events")()
	for seq := q.Since + 1; seq <= 3; seq++ {
		if err := tell(process.Event{Seq: seq, Name: "a", Kind: process.EventStarted}); err != nil {
			return err
		}
	}
	return m.err
}

// Figures has one process, which is gone then.
func (m *memory) Figures(ctx context.Context, follow bool, tell func([]process.Figures) error) error {
	defer m.called("figures")()
	err := tell([]process.Figures{{Name: "web", State: process.Running, PID: 7, Pids: new(3)}})
	if err == nil && follow {
		err = tell([]process.Figures{{Name: "web", Gone: true}})
	}
	return err
}

func (m *memory) Upgrade(_ context.Context, number uint64) (process.Upgrade, error) {
	return process.Upgrade{Number: max(number, 1), Done: number > 0}, nil
}

func (m *memory) Doctor(context.Context) (process.Report, error) {
	return process.Report{Findings: []process.Finding{{Subject: "kernel", Level: process.LevelOK, Found: "6.1"}}}, nil
}

func (m *memory) Log(ctx context.Context, name string, q process.LogQuery, w io.Writer) (int64, error) {
	defer m.called("log")()
	n, err := w.Write(m.output)
	if q.Follow {
		w.(interface{ Offset(int64) }).Offset(int64(n))
		<-ctx.Done()
	}
	return int64(n), err
}

// handler is what the daemon has too.
type handler struct{ verbs.Manager }

func (h handler) Handle(ctx context.Context, script string, _ telnet.SessionInfo) telnet.Reply {
	return reply(verbs.RunText(ctx, h.Manager, script))
}

func (h handler) Error(script, code, message string) telnet.Reply {
	return reply(verbs.Refuse(script, code, message))
}

func reply(a verbs.Answer) telnet.Reply {
	return telnet.Reply{JobID: a.JobID, Body: func(w io.Writer) error { return a.Write(w) }}
}

const secret = "open sesame"

// serve has m answer on a socket until stop is called.
func serve(socket string, m verbs.Manager) (stop func(), err error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	server := &telnet.Server{Secret: []byte(secret), Handler: handler{m}}
	done := make(chan struct{})
	go func() {
		server.Serve(ctx, l)
		close(done)
	}()
	return func() { cancel(); <-done }, nil
}

// daemon serves for the time of a test.
func daemon(t *testing.T, m verbs.Manager) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "pm.sock")
	stop, err := serve(socket, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return socket
}

// dial is a client for the time of a test.
func dial(t *testing.T, socket string) *client.Client {
	t.Helper()
	c, err := client.Dial(inTime(t), client.Config{Socket: socket, Secret: []byte(secret)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// inTime ends the test rather than let it hang.
func inTime(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	t.Cleanup(cancel)
	return ctx
}

// forgetSecrets is an environment that names no secret.
func forgetSecrets(t *testing.T) {
	for _, name := range []string{client.SecretEnv, client.SecretFileEnv, client.SocketEnv, client.CredentialsEnv} {
		t.Setenv(name, "") // put back at the end
		os.Unsetenv(name)
	}
}
