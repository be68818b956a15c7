package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// BenchmarkSample is one reading of all figures of one process, beside a bare loop that reads
// the same files. Both take turns, so that what else the machine does meets both; of many
// batches the fastest counts.
func BenchmarkSample(b *testing.B) {
	const batch, batches = 50, 40
	d := startDaemon(b, setup{})
	d.start(process.Spec{Name: "web", Command: "exec sleep 1000"})
	h, err := cgroup.Find("/proc")
	if err != nil {
		b.Fatal(err)
	}
	group, err := h.GroupAt(d.group("web", 1))
	if err != nil {
		b.Fatal(err)
	}
	dir, err := unix.Open(group.Path(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(dir)
	files := slices.DeleteFunc(cgroup.AccountingFiles(), func(name string) bool { return unix.Faccessat(dir, name, unix.F_OK, 0) != nil })
	var buf [4096]byte
	bare := func() {
		for _, name := range files {
			fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := unix.Read(fd, buf[:]); err != nil {
				b.Fatal(err)
			}
			unix.Close(fd)
		}
	}
	sample := func() {
		if _, err := group.Usage(cgroup.AllFigures); err != nil {
			b.Fatal(err)
		}
	}
	fastest := func(least *time.Duration, turn func()) {
		began := time.Now()
		for range batch {
			turn()
		}
		if took := time.Since(began) / batch; *least == 0 || took < *least {
			*least = took
		}
	}
	for b.Loop() {
		var least, bareLeast time.Duration
		for range batches {
			fastest(&bareLeast, bare)
			fastest(&least, sample)
		}
		b.ReportMetric(float64(bareLeast), "ns/bare")
		b.ReportMetric(float64(least), "ns/sample")
		promised(b, fmt.Sprintf("a sample of %d files, in bare loops", len(files)), float64(least)/float64(bareLeast), 1.5)
		promised(b, "allocations of a sample", testing.AllocsPerRun(100, sample), 2)
	}
}
