package doctor

import (
	"fmt"

	"github.com/prometheus/procfs"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// enough is how many running processes the limits of a host should allow.
const enough = 1000

// Config says where to look. A place that is empty is not examined.
type Config struct {
	Proc    string // where procfs is mounted, normally "/proc"
	Root    string // the delegated root; empty: the group that we are in, as at a first start
	Scope   string // the group of the systemd that makes the root when the daemon starts, where nothing is tried; empty: none does
	Runs    string // the group that holds those of the runs; empty without a daemon
	State   string // directory of the store and the logs
	Runtime string // directory of the FIFOs
	Socket  string // Unix socket
	Others  string // who besides this user and root is to connect to that, in words; empty: nobody
	Listen  string // HOST:PORT of the TCP listener

	User *UserManager // nil: the root is in no group of an ordinary user's systemd
}

// UserManager is the instance of systemd that belongs to an ordinary user.
type UserManager struct {
	User    string // the name of whom it belongs to
	Unit    string // what it is for the system's instance
	Runs    bool
	Lingers bool // it is there without a session of the user's
}

// Examine looks at everything and says what it found.
func Examine(c Config) process.Report { return examine(c, look(c, cgroup.Find)) }

func examine(c Config, t tree) process.Report {
	r := process.Report{
		Hierarchy: t.kind, Mount: t.mount, Root: t.root,
		Controllers: t.controllers, Missing: []string{}, Findings: []process.Finding{},
	}
	if r.Controllers == nil {
		r.Controllers = []string{}
	}
	for _, l := range t.missing {
		r.Missing = append(r.Missing, l.Name)
	}
	fs, err := procfs.NewFS(c.Proc)
	if err != nil {
		r.Findings = append(r.Findings, process.Finding{
			Subject: "proc", Level: process.LevelProblem,
			Found: fmt.Sprintf("no process can be looked at: %v", err),
			Mend:  "mount -t proc proc " + c.Proc,
		})
		return r
	}
	e := &exam{Config: c, fs: fs, tree: t}
	e.readSelf()
	r.Kernel = e.kernel
	for _, check := range checks {
		r.Findings = append(r.Findings, check(e)...)
	}
	return r
}

// checks are all there are, in the order in which to read them.
var checks = []func(*exam) []process.Finding{
	(*exam).hierarchy,
	(*exam).root,
	(*exam).lingering,
	(*exam).kill,
	(*exam).controllers,
	(*exam).release,
	(*exam).openFiles,
	(*exam).processes,
	(*exam).inotify,
	(*exam).pipes,
	(*exam).zone,
	(*exam).directories,
	(*exam).socket,
	(*exam).listener,
}

// exam is what the checks look at.
type exam struct {
	Config
	fs     procfs.FS
	tree   tree
	kernel string            // release; empty if unknown
	self   procfs.ProcStatus // all zero if unknown: root without capabilities
	limits procfs.ProcLimits
	err    error // why something of self and limits is unknown
}

func (e *exam) readSelf() {
	if words, err := e.fs.SysctlStrings("kernel.osrelease"); err == nil && len(words) == 1 {
		e.kernel = words[0]
	}
	self, err := e.fs.Self()
	if err == nil {
		e.self, err = self.NewStatus()
	}
	if err == nil {
		e.limits, err = self.Limits()
	}
	e.err = err
}

// can reports whether we have a capability.
func (e *exam) can(capability int) bool { return e.self.CapEff>>capability&1 != 0 }

// sysctl reads one number of <proc>/sys.
func (e *exam) sysctl(name string) (int, error) {
	values, err := e.fs.SysctlInts(name)
	if err == nil && len(values) != 1 {
		err = fmt.Errorf("sysctl %s: %d numbers", name, len(values))
	}
	if err != nil {
		return 0, err
	}
	return values[0], nil
}

func one(subject string, level process.Level, mend, format string, args ...any) []process.Finding {
	if level == process.LevelOK {
		mend = ""
	}
	return []process.Finding{{Subject: subject, Level: level, Found: fmt.Sprintf(format, args...), Mend: mend}}
}

// unread is the finding of what cannot be read.
func unread(subject string, err error) []process.Finding {
	return one(subject, process.LevelNote, "", "unknown: %v", err)
}

// noteIf is the level of something that is short.
func noteIf(short bool) process.Level {
	if short {
		return process.LevelNote
	}
	return process.LevelOK
}
