package run

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// maxDevices is how many block devices a run tells of: those that it used most.
const maxDevices = 16

// devices is what the tree has read from and written to each block device; nothing without a
// controller that counts it.
func (m *Meter) devices() ([]process.DeviceIO, error) {
	used, err := m.group.Devices()
	if errors.Is(err, errors.ErrUnsupported) || err == nil && len(used) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// Without their names devices have numbers still.
	partitions, _ := os.ReadFile(m.proc + "/partitions")
	return mostUsed(used, deviceNames(string(partitions))), nil
}

// mostUsed are the devices of which most bytes were read and written, with their names.
func mostUsed(used []cgroup.Device, names map[string]string) (all []process.DeviceIO) {
	bytes := func(d cgroup.Device) uint64 { return d.ReadBytes + d.WriteBytes }
	slices.SortFunc(used, func(a, b cgroup.Device) int {
		return cmp.Or(cmp.Compare(bytes(b), bytes(a)), cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor))
	})
	for _, d := range used[:min(len(used), maxDevices)] {
		number := fmt.Sprintf("%d:%d", d.Major, d.Minor)
		all = append(all, process.DeviceIO{
			Device: number, Name: names[number],
			Read: d.ReadBytes, Write: d.WriteBytes, ReadOperations: d.Reads, WriteOperations: d.Writes,
		})
	}
	return all
}

// deviceNames reads the names of block devices, by their numbers, from /proc/partitions.
func deviceNames(partitions string) map[string]string {
	names := map[string]string{}
	for line := range strings.Lines(partitions) {
		if f := strings.Fields(line); len(f) == 4 && f[0] != "major" {
			names[f[0]+":"+f[1]] = f[3]
		}
	}
	return names
}
