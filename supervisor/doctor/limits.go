package doctor

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What one running process takes.
const (
	fifoPages = 16 // of its FIFO
	treePids  = 2  // kernel processes: a shell and what it started
)

func (e *exam) openFiles() []process.Finding {
	const subject = "open files"
	if e.err != nil {
		return unread(subject, e.err)
	}
	limit := e.limits.OpenFiles
	room := int(min(limit, 1<<30)) // a descriptor for each; files of logs are closed where they are few
	room -= proc.Reserve(room)
	if limit == ^uint64(0) {
		return one(subject, process.LevelOK, "", "without limit")
	}
	mend := "LimitNOFILE=65536 in the daemon's unit, or ulimit -Hn 65536 before its start"
	if e.User != nil {
		mend = e.User.raise("NOFILE", "65536")
	}
	return one(subject, noteIf(room < enough), mend,
		"the daemon may have %d open, which is enough for about %d running processes", limit, room)
}

func (e *exam) processes() []process.Finding {
	const subject = "processes"
	type limit struct {
		n          int
		from, mend string
	}
	var limits []limit
	for _, l := range []struct{ sysctl, value string }{{"kernel.pid_max", "4194304"}, {"kernel.threads-max", "1000000"}} {
		n, err := e.sysctl(l.sysctl)
		if err != nil {
			return unread(subject, err)
		}
		limits = append(limits, limit{n, l.sysctl, e.sysctlMend(l.sysctl, l.value)})
	}
	// Root is not held to it.
	if n := e.limits.Processes; e.err == nil && e.self.UIDs[0] != 0 && n < 1<<31 {
		mend := "LimitNPROC=infinity in the daemon's unit, or ulimit -u before its start"
		if e.User != nil {
			mend = e.User.raise("NPROC", "infinity")
		}
		limits = append(limits, limit{int(n), "the user's limit RLIMIT_NPROC", mend})
	}
	if at := e.tree.pidsMaxAt; at != "" {
		limits = append(limits, limit{e.tree.pidsMax, at + "/pids.max", e.mendPidsMax(at)})
	}
	smallest := limits[0]
	for _, l := range limits[1:] {
		if l.n < smallest.n {
			smallest = l
		}
	}
	return one(subject, noteIf(smallest.n < treePids*enough), smallest.mend,
		"there can be %d kernel processes and threads at once (%s)", smallest.n, smallest.from)
}

func (e *exam) sysctlMend(name, value string) string {
	mend := "sysctl -w " + name + "=" + value
	if e.self.UIDs[0] != 0 {
		mend = asRoot + mend
	}
	return mend
}

func (e *exam) mendPidsMax(at string) string {
	switch unit := path.Base(at); {
	case at == e.tree.mount:
		return "start the container with a higher --pids-limit, or TasksMax=infinity in the daemon's unit"
	case e.User != nil && strings.Contains(at, "/"+e.User.Unit+"/"):
		return "systemctl --user set-property " + unit + " TasksMax=infinity"
	case e.User != nil:
		return asRoot + "systemctl set-property " + unit + " TasksMax=infinity"
	}
	return fmt.Sprintf("echo max > %s/pids.max, or TasksMax=infinity in the daemon's unit", at)
}

func (e *exam) inotify() []process.Finding {
	const (
		subject   = "inotify"
		watches   = "fs.inotify.max_user_watches"
		instances = "fs.inotify.max_user_instances"
	)
	n, err := e.sysctl(watches)
	if err != nil {
		return unread(subject, err)
	}
	m, err := e.sysctl(instances)
	switch {
	case err != nil:
		return unread(subject, err)
	case m == 0:
		return one(subject, process.LevelProblem, e.sysctlMend(instances, "128"), "%s is 0, and the daemon needs one to see the end of a tree", instances)
	}
	return one(subject, noteIf(n < enough), e.sysctlMend(watches, "65536"),
		"a user may have %d instances and %d watches; the daemon takes one instance, and a watch for each run", m, n)
}

// pipes: beyond the soft limit the kernel gives a user without CAP_SYS_RESOURCE and
// CAP_SYS_ADMIN pipes of two pages.
func (e *exam) pipes() []process.Finding {
	const (
		subject = "pipes"
		soft    = "fs.pipe-user-pages-soft"
	)
	n, err := e.sysctl(soft)
	switch {
	case err != nil:
		return unread(subject, err)
	case n == 0 || e.can(unix.CAP_SYS_RESOURCE) || e.can(unix.CAP_SYS_ADMIN):
		return one(subject, process.LevelOK, "", "the output of every run has a buffer of %d pages", fifoPages)
	}
	return one(subject, noteIf(n/fifoPages < enough), e.sysctlMend(soft, strconv.Itoa(4*enough*fifoPages)),
		"the output of a run has a buffer of %d pages; beyond about %d runs it has two, and writers wait more often", fifoPages, n/fifoPages)
}
