package metrics

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// fake is a daemon that knows these processes.
type fake struct {
	samples []process.Sample
	health  func() error
}

func (f *fake) Samples() []process.Sample { return f.samples }

func (f *fake) DaemonSample() process.DaemonSample {
	return process.DaemonSample{Uptime: time.Hour, Events: 7, StoreBytes: 4096, StoreWritable: true}
}

func (f *fake) Health(context.Context) error { return f.health() }

// everything is a process of which all is known.
func everything(name string) process.Sample {
	stalls := func(some, all int64) *process.Pressure {
		return &process.Pressure{Some: process.Stall{Total: some}, Full: &process.Stall{Total: all}}
	}
	bytes := func(n uint64) *uint64 { return &n }
	return process.Sample{
		Name: name, State: process.Paused,
		Totals: process.Totals{
			CPUUser: 1_500_000, CPUSystem: 20, CPUThrottled: new(int64(3_000_000)), IORead: bytes(1 << 40), IOWrite: bytes(0), OOMKills: bytes(2),
			Pressure: &process.Pressures{CPU: stalls(1, 2), Memory: stalls(3, 4), IO: stalls(5, 6)},
			Runs:     map[process.Cause]uint64{process.CauseExit: 9, process.CauseReplaced: 1}, Restarts: 4,
			Times: map[process.Fate]uint64{process.Ran: 100, process.Skipped: 1, process.Missed: 2, process.WhilePaused: 3, process.SkippedOnRequest: 4},
		},
		Memory: bytes(11), MemoryPeak: bytes(12), MemorySwap: bytes(13), MemoryAnon: bytes(14), MemoryFile: bytes(15), MemoryKernel: bytes(16), MemoryShmem: bytes(17),
		Pids: new(3), Start: time.Unix(1_700_000_000, 250_000_000), LastExitCode: new(137), Scheduled: true, Next: time.Unix(1_800_000_000, 0),
	}
}

// server answers for these processes and is well.
func server(samples ...process.Sample) *Server {
	f := &fake{samples, func() error { return nil }}
	return New(f, "1.2.3", func() uint64 { return 5 }, log.New(io.Discard, "", 0))
}

// get is the answer to a request.
func get(h http.Handler, path, accept string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// tool is a program that judges what others read. Where all must hold it must be there.
func tool(t *testing.T, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("there is no %s, of the package %s", name, from)
	}
	if err != nil {
		t.Skipf("there is no %s, of the package %s", name, from)
	}
	return path
}
