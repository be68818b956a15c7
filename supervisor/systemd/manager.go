package systemd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// Manager is an instance of systemd: that of the system, or of one user.
type Manager struct {
	Run  string // where there are its sockets, normally "/run"
	User string // the number of the user whose instance it is; empty: the system's
}

// For is the instance that a process of a user in a group of the cgroup tree asks for a scope.
// An ordinary user's is his own, for no other does what he says. Root's is the system's, but
// for a service that his own instance has started.
func For(run string, uid int, group string) Manager {
	user := Manager{run, strconv.Itoa(uid)}
	if uid != 0 || path.Ext(user.UnitOf(group)) == ".service" {
		return user
	}
	return Manager{Run: run}
}

// ErrUnreachable is a systemd that runs and cannot be spoken to.
var ErrUnreachable = errors.New("systemd cannot be reached over D-Bus")

// Booted reports whether this host, or container, was booted with systemd (sd_booted).
func (m Manager) Booted() bool {
	info, err := os.Lstat(m.Run + "/systemd/system")
	return err == nil && info.IsDir()
}

// Runs reports whether there is such an instance. That of a user is there from his first
// session to his last, or all the time if he lingers.
func (m Manager) Runs() bool {
	if m.User == "" {
		return m.Booted()
	}
	for _, socket := range []string{m.own(), m.bus()} {
		if _, err := os.Lstat(socket); err == nil {
			return true
		}
	}
	return false
}

// own is the socket of the instance itself, which is there without a message bus too. That of
// the system is for root alone.
func (m Manager) own() string { return m.dir() + "/systemd/private" }

func (m Manager) bus() string {
	if m.User == "" {
		return m.Run + "/dbus/system_bus_socket"
	}
	return m.dir() + "/bus"
}

// dir is the runtime directory of the instance.
func (m Manager) dir() string {
	if m.User == "" {
		return m.Run
	}
	return m.Run + "/user/" + m.User
}

func (m Manager) connect(ctx context.Context) (*sd.Conn, error) {
	conn, err := sd.NewConnection(dial(ctx, m.own(), false))
	if err != nil {
		var busErr error
		if conn, busErr = sd.NewConnection(dial(ctx, m.bus(), true)); busErr != nil {
			return nil, fmt.Errorf("%w: %w; %w", ErrUnreachable, err, busErr)
		}
	}
	return conn, nil
}

func dial(ctx context.Context, socket string, isBus bool) func() (*dbus.Conn, error) {
	return func() (conn *dbus.Conn, err error) {
		if conn, err = dbus.Dial("unix:path="+socket, dbus.WithContext(ctx)); err != nil {
			return nil, err
		}
		err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))})
		if err == nil && isBus {
			err = conn.Hello()
		}
		if err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

// Scope is what is asked for.
type Scope struct {
	Name        string // ends in .scope
	Description string
	PID         int      // its first process
	Before      []string // units that the machine's shutdown stops before the scope
}

// properties are those that our trees need: groups of our own below, no bound on the number
// of processes (systemd's default is 15 % of the machine's), and nothing left when it ends.
func (s Scope) properties() []sd.Property {
	p := func(name string, value any) sd.Property {
		return sd.Property{Name: name, Value: dbus.MakeVariant(value)}
	}
	list := []sd.Property{
		p("Description", s.Description),
		p("PIDs", []uint32{uint32(s.PID)}),
		p("Delegate", true),
		p("TasksMax", uint64(math.MaxUint64)),
		p("CollectMode", "inactive-or-failed"),
	}
	if len(s.Before) > 0 {
		list = append(list, p("Before", s.Before))
	}
	return list
}

// errorUnitExists is how systemd calls it that there is a unit of that name.
const errorUnitExists = "org.freedesktop.systemd1.UnitExists"

// existsPause is between two tries to start a scope while one of its name is going away,
// which takes some 20 ms.
const existsPause = 20 * time.Millisecond

// StartScope has systemd make a delegated scope around a process and waits until that is in
// it. One of the same name whose last process has just ended is waited for.
//
// Errors: ErrUnreachable.
func (m Manager) StartScope(ctx context.Context, s Scope) error {
	conn, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		result := make(chan string, 1)
		_, err := conn.StartTransientUnitContext(ctx, s.Name, "fail", s.properties(), result)
		if err == nil {
			return await(ctx, result, "start "+s.Name)
		}
		if refused, ok := errors.AsType[dbus.Error](err); !ok || refused.Name != errorUnitExists {
			return fmt.Errorf("start %s: %w", s.Name, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start %s: %w", s.Name, err)
		case <-time.After(existsPause):
		}
	}
}

// await waits for the end of a job.
func await(ctx context.Context, result <-chan string, what string) error {
	select {
	case r := <-result:
		if r != "done" {
			return fmt.Errorf("%s: its job ended with %q", what, r)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
}

// Attach moves a process of ours into a group of a delegated scope, given by its path from the
// scope's own. A user's instance can do that from a login session too, where the user himself
// may not: it asks the system's.
//
// Errors: ErrUnreachable.
func (m Manager) Attach(ctx context.Context, scope, group string, pid int) error {
	conn, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.AttachProcessesToUnit(ctx, scope, group, []uint32{uint32(pid)}); err != nil {
		return fmt.Errorf("move %d to %s: %w", pid, scope, err)
	}
	return nil
}

// Job is the type of the job that systemd works off for a unit: "stop", "restart" …; empty
// if there is none.
//
// Errors: ErrUnreachable.
func (m Manager) Job(ctx context.Context, unit string) (string, error) {
	conn, err := m.connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	jobs, err := conn.ListJobsContext(ctx)
	if err != nil {
		return "", fmt.Errorf("list the jobs: %w", err)
	}
	for _, j := range jobs {
		if j.Unit == unit {
			return j.JobType, nil
		}
	}
	return "", nil
}

// StartsAgain reports whether a job of that type stops a unit in order to start it.
func StartsAgain(job string) bool { return strings.HasSuffix(job, "restart") }

// errorNoSuchUnit is how systemd calls it that there is none of that name.
const errorNoSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"

// StopUnit stops a unit and waits for it. One that is not there is stopped.
//
// Errors: ErrUnreachable.
func (m Manager) StopUnit(ctx context.Context, name string) error {
	conn, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	result := make(chan string, 1)
	_, err = conn.StopUnitContext(ctx, name, "replace", result)
	if refused, ok := errors.AsType[dbus.Error](err); ok && refused.Name == errorNoSuchUnit {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	return await(ctx, result, "stop "+name)
}
