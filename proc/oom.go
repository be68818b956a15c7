package proc

import (
	"bytes"

	"golang.org/x/sys/unix"
)

const oomScoreAdj = "/proc/self/oom_score_adj"

// neutralOOMScore sets our own oom_score_adj to 0, for a child takes it over at the
// clone, and returns what puts it back. A manager is often started with a low one,
// which must not protect what it runs.
func neutralOOMScore() (restore func()) {
	var buf [16]byte
	was, err := readInto(oomScoreAdj, buf[:])
	if err != nil || string(bytes.TrimSpace(was)) == "0" || writeFile(oomScoreAdj, []byte("0")) != nil {
		return func() {}
	}
	return func() { writeFile(oomScoreAdj, was) }
}

func writeFile(path string, data []byte) error {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = retry(func() (int, error) { return unix.Write(fd, data) })
	return err
}
