package systemd

import (
	"path"
	"strconv"
	"strings"
)

// UnitOf is the unit of the system instance in whose group the group at a path of the cgroup
// tree is, such as "ssh.service" or "session-1.scope"; empty if it is in none.
func UnitOf(group string) string {
	for name := range strings.SplitSeq(group, "/") {
		switch path.Ext(name) {
		case ".service", ".scope":
			return name
		}
	}
	return ""
}

// UnitOf is the unit of this instance in whose group the group at a path is; empty if it is in
// none. The units of a user are below user@UID.service.
func (m Manager) UnitOf(group string) string {
	if m.User == "" {
		return UnitOf(group)
	}
	_, below, _ := strings.Cut(group, "/user@"+m.User+".service/")
	return UnitOf(below)
}

// Group is the group of the instance, which holds those of its units.
func (m Manager) Group() string {
	if m.User == "" {
		return "/"
	}
	return "/user.slice/user-" + m.User + ".slice/user@" + m.User + ".service"
}

// Holds reports whether the group at a path is the instance's, or below that.
func (m Manager) Holds(group string) bool {
	return m.User == "" || strings.Contains(group+"/", m.Group()+"/")
}

// InTree reports whether systemd answers for the group at a path: it is that of a unit or of
// a slice, or below one.
func InTree(group string) bool {
	for name := range strings.SplitSeq(group, "/") {
		switch path.Ext(name) {
		case ".service", ".scope", ".slice":
			return true
		}
	}
	return false
}

// MainOf is the service whose main process this one is, as $SYSTEMD_EXEC_PID says (systemd
// 248 and later); empty if it is none. What else runs in a service's group, or in a
// scope, was started by somebody else.
func (m Manager) MainOf(group string, pid int, getenv func(string) string) string {
	unit := m.UnitOf(group)
	if getenv("SYSTEMD_EXEC_PID") != strconv.Itoa(pid) || path.Ext(unit) != ".service" {
		return ""
	}
	return unit
}
