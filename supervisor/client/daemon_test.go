package client_test

import (
	"cmp"
	"context"
	"io"
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

func (m *memory) Start(_ context.Context, spec process.Spec) (process.Status, error) {
	defer m.called("start")()
	if _, ok := m.all[spec.Name]; ok && spec.Command != "" {
		return process.Status{}, process.Errorf(process.CodeExists, "there is a process '%s' already", spec.Name)
	}
	s := process.NewStatus(spec, process.Running)
	s.PID, s.Number = 42, 1
	m.all[spec.Name] = s
	return s, nil
}

func (m *memory) Stop(_ context.Context, name string) (process.Status, error) {
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

func (m *memory) Restart(_ context.Context, name, jobID string) (process.Status, error) {
	defer m.called("restart")()
	s := m.all[name]
	s.State, s.Number, s.JobID = process.Running, s.Number+1, cmp.Or(jobID, s.JobID)
	m.all[name] = s
	return s, nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	defer m.called("delete")()
	delete(m.all, name)
	return nil
}

func (m *memory) Status(_ context.Context, name string) (process.Status, error) {
	defer m.called("status")()
	return m.all[name], m.err
}

func (m *memory) List(context.Context) (all []process.Status, err error) {
	defer m.called("list")()
	for _, s := range m.all {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b process.Status) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
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
	for _, name := range []string{client.SecretEnv, "CREDENTIALS_DIRECTORY"} {
		t.Setenv(name, "") // put back at the end
		os.Unsetenv(name)
	}
}
