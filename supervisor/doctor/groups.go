package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// MendContainer has the engine of a container give it a cgroup v2 that can be written, and in which
// its own group is seen.
const MendContainer = "start the container with --privileged, with --security-opt unmask=/sys/fs/cgroup (podman), or with --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw"

const (
	mendHybrid = "add systemd.unified_cgroup_hierarchy=1 (without systemd: cgroup_no_v1=all) to the kernel command line and reboot"
	mendRoot   = "give a directory of cgroup v2 that belongs to you with -cgroup"
	delegate   = "Delegate=cpu cpuset io memory pids"
)

func (e *exam) hierarchy() []process.Finding {
	const subject = "hierarchy"
	t := &e.tree
	switch own := e.Runtime + "/cgroup"; {
	case errors.Is(t.err, cgroup.ErrReadOnly):
		return one(subject, process.LevelProblem, MendContainer, "none: %v, so no group can be made and no daemon can start", t.err)
	case errors.Is(t.err, cgroup.ErrNoHierarchy) && e.Runtime != "" && e.can(unix.CAP_SYS_ADMIN):
		return one(subject, process.LevelNote, mendHybrid, "none: cgroup v2 is not mounted; the daemon will mount it on %s, without the controllers that v1 hierarchies hold", own)
	case errors.Is(t.err, cgroup.ErrNoHierarchy):
		return one(subject, process.LevelProblem, mendHybrid+"; or, as root: "+mountCommand(),
			"none: cgroup v2 is not mounted, and mounting it takes CAP_SYS_ADMIN, so no daemon can start")
	case t.err != nil:
		return one(subject, process.LevelProblem, "", "none: %v", t.err)
	}
	switch t.kind {
	case process.HierarchyHybrid:
		return one(subject, process.LevelOK, "", "hybrid: cgroup v2 is mounted at %s, and v1 hierarchies hold controllers", t.mount)
	case process.HierarchyPrivate:
		return one(subject, process.LevelOK, "", "private: the daemon has mounted cgroup v2 at %s, for nobody else had", t.mount)
	}
	return one(subject, process.LevelOK, "", "unified: cgroup v2 is mounted at %s", t.mount)
}

func (e *exam) root() []process.Finding {
	const subject = "delegated root"
	t := &e.tree
	switch err := t.rootErr; {
	case t.err != nil:
		return nil // there is nothing to have a root in
	case t.scope && e.User != nil && !e.User.Runs:
		return one(subject, process.LevelProblem, e.User.linger(), "systemd runs nothing for user %s, so there is nobody to make a group for the processes", e.User.User)
	case t.scope:
		return one(subject, process.LevelOK, "", "systemd makes a scope for all processes when the daemon starts, with all controllers that it has")
	case err == nil:
		return one(subject, process.LevelOK, "", "groups can be made below %s", t.root)
	case errors.Is(err, cgroup.ErrOutside):
		return one(subject, process.LevelProblem, MendContainer, "none: %v", err)
	case errors.Is(err, cgroup.ErrReadOnly):
		return one(subject, process.LevelProblem, MendContainer, "no group can be made below %s: %v", t.root, bare(err))
	case errors.Is(err, fs.ErrPermission):
		return one(subject, process.LevelProblem, "start the daemon with "+e.scope()+", or "+mendRoot, "no group of ours can be made below %s: %v", t.root, bare(err))
	default:
		return one(subject, process.LevelProblem, mendRoot, "no group can be made below %s: %v", t.root, bare(err))
	}
}

// bare is err without the name of the group that was tried.
func bare(err error) error {
	if e, ok := errors.AsType[*cgroup.Error](err); ok {
		return e.Err
	}
	return err
}

// scope is the command that runs the daemon in a delegated group of its own.
func (e *exam) scope() string {
	if e.self.UIDs[0] == 0 {
		return "systemd-run --scope -p '" + delegate + "' processmanager"
	}
	return "systemd-run --user --scope -p '" + delegate + "' processmanager"
}

func (e *exam) kill() []process.Finding {
	const subject = "cgroup.kill"
	if e.tree.kill == KillThere && e.tree.rootErr == nil {
		return one(subject, process.LevelOK, "", "a tree is killed at once, whatever it forks meanwhile")
	}
	return nil // there is no group to see it in, or release says what is wrong
}

// MendNoHierarchy is what mends that cgroup v2 is mounted nowhere, in one line.
func MendNoHierarchy() string {
	return fmt.Sprintf("as root: %s; then start the daemon again, with -cgroup where it is to work in a group of its own there", mountCommand())
}

// mountCommand mounts cgroup v2 where systemd would: beside v1 hierarchies, if there are any.
func mountCommand() string {
	point := "/sys/fs/cgroup"
	var st unix.Statfs_t
	if err := unix.Statfs(point, &st); err == nil && st.Type != unix.SYSFS_MAGIC { // something is mounted there
		point += "/unified"
	}
	return "mkdir -p " + point + " && mount -t cgroup2 none " + point
}

// uses are the controllers, and what there is without them, in a sentence and in words. The
// limits that each takes are those of [cgroup.LimitsOf].
var uses = []struct {
	controller, without string
	lost                []string
}{
	{"cpu", "CPU time is counted all the same, but there are no CPU limits and weights", []string{"CPU limits"}},
	{"memory", "memory figures are added up from /proc (PSS), there is no peak, there are no memory limits, and an out-of-memory kill looks like any SIGKILL", []string{"memory limits", "memory peaks"}},
	{"pids", "processes are counted one by one, and there is no limit on their number", []string{"process limits"}},
	{"io", "there are no figures of what block devices read and wrote, and no I/O limits", []string{"I/O limits", "I/O figures"}},
	{"cpuset", "runs have the CPUs that the daemon has", []string{"CPU sets"}},
}

func (e *exam) controllers() []process.Finding {
	t := &e.tree
	var findings []process.Finding
	if len(t.controllers) > 0 {
		findings = one("controllers", process.LevelOK, "", "runs have %s: figures and limits are the kernel's", list(t.controllers))
	}
	for _, l := range t.missing {
		for _, u := range uses {
			if u.controller == l.Name {
				findings = append(findings, one(l.Name+" controller", process.LevelNote, e.mendLack(l), "missing: %s; %s; refused: %s", l.Reason, u.without, list(cgroup.LimitsOf(l.Name)))...)
			}
		}
	}
	return findings
}

// Lack says why runs do not have a controller, and what would give it to them; empty where they
// have it.
func Lack(c Config, controller string) (why, mend string) {
	e := &exam{Config: c, tree: look(c, cgroup.Find)}
	if fs, err := procfs.NewFS(c.Proc); err == nil {
		e.fs = fs
		e.readSelf()
	}
	for _, l := range e.tree.missing {
		if l.Name == controller {
			return l.Reason, e.mendLack(l)
		}
	}
	return "", ""
}

// Lacks says in one line what runs have to do without, and why; empty if they lack nothing.
func Lacks(missing []cgroup.Missing) string {
	var names, lost, reasons []string
	for _, m := range missing {
		names = append(names, m.Name)
		for _, u := range uses {
			if u.controller == m.Name {
				lost = append(lost, u.lost...)
			}
		}
		reason := m.Reason
		if m.InV1 { // each is at a place of its own
			reason = "bound to cgroup v1"
		}
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("runs have no %s controller (%s), so no %s; pmclient doctor says what mends it",
		either(names), strings.Join(reasons, "; "), either(lost))
}

func (e *exam) mendLack(l lack) string {
	switch l.why {
	case boundV1:
		return mendHybrid
	case outside:
		return fmt.Sprintf("on the host, enable %s for the container's group; where a user's engine runs it, with %s for user@.service", l.Name, delegate)
	case noKernel:
		return fmt.Sprintf("boot a kernel that has it, without cgroup_disable=%s on its command line", l.Name)
	case unknown:
		return ""
	}
	switch unit := unitBelow(l.at, e.tree.runs); {
	case e.User != nil && unit == e.User.Unit:
		return e.User.delegation()
	case e.User != nil:
		return asRootAnew + e.User.restart()
	case path.Ext(unit) == ".service":
		return fmt.Sprintf("systemctl edit %s: in [Service], %s; then restart it", unit, delegate)
	case path.Ext(unit) == ".scope":
		return "start the daemon with " + e.scope()
	}
	return fmt.Sprintf("echo +%s > %s/cgroup.subtree_control", l.Name, l.at)
}

// unitBelow is the first directory below top on the way to dir that is a service
// or a scope of systemd; empty if there is none.
func unitBelow(top, dir string) string {
	rest, ok := strings.CutPrefix(dir, strings.TrimSuffix(top, "/")+"/")
	if !ok {
		return ""
	}
	for name := range strings.SplitSeq(rest, "/") {
		if ext := path.Ext(name); ext == ".service" || ext == ".scope" {
			return name
		}
	}
	return ""
}

// list is words with commas, and "and" before the last; either has "or" there.
func list(words []string) string   { return enumerate(words, " and ") }
func either(words []string) string { return enumerate(words, " or ") }

func enumerate(words []string, before string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + before + words[last]
}
