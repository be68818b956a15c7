package proc

import "bytes"

// Names returns what the given processes call themselves (/proc/PID/comm, at most
// 15 bytes), in the order of pids. Pids that are gone are skipped.
func Names(procDir string, pids []int) []string {
	names := make([]string, 0, len(pids))
	var buf [64]byte
	for _, pid := range pids {
		if comm, err := readInto(pidFile(procDir, pid, "comm"), buf[:]); err == nil {
			names = append(names, string(bytes.TrimSuffix(comm, []byte("\n"))))
		}
	}
	return names
}
