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
func MainOf(group string, pid int, getenv func(string) string) string {
	unit := UnitOf(group)
	if getenv("SYSTEMD_EXEC_PID") != strconv.Itoa(pid) || path.Ext(unit) != ".service" {
		return ""
	}
	return unit
}
