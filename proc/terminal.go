package proc

// HasTerminal reports whether a process has a controlling terminal: field 7 of
// /proc/PID/stat, the device's number, is 0 without one. What setsid(1), a service manager or
// a container without -t starts has none.
func HasTerminal(procDir string, pid int) (bool, error) {
	s, err := readStat(procDir, pid)
	return s.terminal != 0, err
}
