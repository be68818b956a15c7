package integration

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func init() { roles["knock"] = knock }

// knock connects to an address and hangs up, so many times a second for so many seconds, and
// says how much CPU time that took in µs.
func knock(args []string) {
	rate, seconds := number(args[1]), number(args[2])
	used := func() int64 {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			panic(err)
		}
		return (u.Utime.Nano() + u.Stime.Nano()) / 1000
	}
	before := used()
	began := time.Now()
	for i := range rate * seconds {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		c, err := net.Dial("tcp", args[0])
		if err != nil {
			panic(err)
		}
		c.Close()
	}
	fmt.Println(used() - before)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// BenchmarkProbes is what 1,000 processes cost the daemon that are asked over TCP each 10 s
// whether they are well, beside a bare loop that makes the same connections.
func BenchmarkProbes(b *testing.B) {
	const processes, period, window = 1000, 10, 20 // seconds
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	address := l.Addr().String()
	d := startDaemon(b, setup{})
	for i := range processes {
		d.start(process.Spec{Name: fmt.Sprintf("p%d", i), Command: "exec sleep 100000"})
	}
	awaitQuiet(b, d)
	idle := d.idlePercent(b, 5*time.Second)
	d.mustClient("set", "p*", "-health", "tcp:"+address, "-health_period", strconv.Itoa(period))
	time.Sleep(period * time.Second) // each was asked once
	probes := d.idlePercent(b, window*time.Second) - idle
	for i := 0; i < processes; i += 99 {
		if s := d.status(fmt.Sprintf("p%d", i)); s.Health == nil || s.Health.State != process.HealthHealthy {
			b.Fatalf("%s was not asked: %+v", s.Name, s.Health)
		}
	}
	r := d.execute(programs.self, "role", "knock", address, strconv.Itoa(processes/period), strconv.Itoa(window))
	if r.code != 0 {
		b.Fatal(r.stderr)
	}
	bare := float64(number(strings.TrimSpace(r.stdout))) / 1e6 / window * 100
	b.ReportMetric(probes, "probes-%core")
	b.ReportMetric(bare, "bare-%core")
	b.ReportMetric(0, "ns/op")
	promised(b, "percent of a core beyond a bare loop, for 1,000 tcp probes each 10 s", probes-bare, 3)
}
