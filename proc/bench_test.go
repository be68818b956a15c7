package proc

import (
	"os"
	"testing"

	"github.com/prometheus/procfs"
)

// Our readings against those of procfs.

func BenchmarkMemory(b *testing.B) {
	pids := []int{os.Getpid()}
	for b.Loop() {
		if _, err := Memory("/proc", pids); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMemoryProcfs(b *testing.B) {
	for b.Loop() {
		p, err := procfs.NewProc(os.Getpid())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.ProcSMapsRollup(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	for b.Loop() {
		if _, err := Identify("/proc", os.Getpid()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIdentifyProcfs(b *testing.B) {
	for b.Loop() {
		p, err := procfs.NewProc(os.Getpid())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Stat(); err != nil {
			b.Fatal(err)
		}
	}
}
