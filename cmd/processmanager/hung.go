package main

import (
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
)

// orphanTime is how long a worker may take to end after its keeper has died. Then it hangs,
// or is stopped, and holds the store.
const orphanTime = time.Second

// endHung ends workers of an earlier daemon of a state directory whose keeper is gone, and
// which have not noticed. The caller has locked the directory.
func endHung(state string, logger *log.Logger) {
	in, err := loadInstance(state)
	if err != nil {
		return
	}
	h, err := cgroup.Find("/proc")
	if err != nil {
		return
	}
	v, err := viewOf(h)
	if err != nil {
		return
	}
	root, ok, err := in.root(h, v)
	if err != nil || !ok {
		return
	}
	instance := root.Child(instancePrefix + in.ID)
	for limit := time.Now().Add(orphanTime); len(workersIn(instance)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().Before(limit) {
			continue
		}
		if isLocked(instance) { // the directory is a copy of that of a daemon that lives
			return
		}
		for _, id := range workersIn(instance) {
			if alive, err := id.Alive("/proc"); alive && err == nil {
				warning(logger).Printf("worker %d of an earlier daemon does not end; killing it", id.PID)
				unix.Kill(id.PID, unix.SIGKILL)
			}
		}
		return
	}
}

// workersIn are the workers that work in the group of an instance.
func workersIn(instance cgroup.Group) (list []proc.ID) {
	pids, _ := instance.Child("daemon").Own()
	for _, pid := range pids {
		id, err := proc.Identify("/proc", pid)
		line, readErr := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && readErr == nil && slices.Equal(strings.Split(string(line), "\x00"), []string{"processmanager", workerArg, ""}) {
			list = append(list, id)
		}
	}
	return list
}
