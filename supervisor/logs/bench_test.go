package logs

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The benchmarks of writing compare one writer, in a process of its own, whose
// output goes to a plain file, with the same writer under a log. cpu-s/GB is what
// this process, the mover, uses meanwhile.

const (
	playWriter = "LOGS_TEST_WRITER" // how many bytes per write
	writes     = "LOGS_TEST_WRITES"
)

// beWriter writes to its standard output and ends.
func beWriter(size string) {
	n, _ := strconv.Atoi(size)
	times, _ := strconv.Atoi(os.Getenv(writes))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte('a' + i%23)
	}
	p[n-1] = '\n'
	for range times {
		if _, err := unix.Write(1, p); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func cpu() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchmarkWriter has rounds of all ways in turn, each with the same amount, so that
// they meet the same machine. An op is a round. of-file is the median, over the
// rounds, of the rate as a part of that to a plain file.
func benchmarkWriter(b *testing.B, size int) {
	const amount = 256 << 20 // of a round
	write := func(to *os.File, after func()) (rate, cost float64) {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), fmt.Sprintf("%s=%d", playWriter, size), fmt.Sprintf("%s=%d", writes, amount/size))
		child.Stdout, child.Stderr = to, os.Stderr
		before, begun := cpu(), time.Now()
		if err := child.Run(); err != nil {
			b.Fatal(err)
		}
		after()
		return amount / time.Since(begun).Seconds(), (cpu() - before).Seconds() / amount * 1e9
	}
	dir := b.TempDir()
	toFile := func() (rate, cost float64) {
		f, err := os.OpenFile(dir+"/plain", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		defer os.Remove(f.Name())
		defer f.Close()
		return write(f, func() {})
	}
	toLog := func(o Options) (rate, cost float64) {
		l := open(b, newMover(b), dir+"/log", o)
		defer l.Remove()
		f := newFIFO(b)
		p := move(b, l, f, 1)
		rate, cost = write(f.tree, p.Finish)
		v := &view{dir: l.dir}
		defer v.close()
		v.refresh()
		if end, err := v.end(); err != nil || end != int64(amount/size*size) {
			b.Fatalf("%d bytes, not %d: %v", end, amount/size*size, err)
		}
		return rate, cost
	}
	ways := []struct {
		name string
		o    Options
	}{{"log", Options{}}, {"one-file", Options{MaxSize: 1 << 40}}}
	var part, costs [2][]float64
	toFile() // memory that was never used before is dearer
	for b.Loop() {
		for i, way := range ways {
			plain, _ := toFile()
			rate, cost := toLog(way.o)
			part[i] = append(part[i], rate/plain)
			costs[i] = append(costs[i], cost)
		}
	}
	for i, way := range ways {
		b.ReportMetric(median(part[i]), way.name+"-of-file")
		b.ReportMetric(median(costs[i]), way.name+"-cpu-s/GB")
	}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

func BenchmarkBlocks(b *testing.B) { benchmarkWriter(b, 64<<10) }
func BenchmarkLines(b *testing.B)  { benchmarkWriter(b, 100) }

// BenchmarkQuiet has 2,000 processes log 10 lines a second each. One op is a
// second. cores is what the mover uses of one; bare is the same without it, the
// writers alone, which are in this process.
func BenchmarkQuiet(b *testing.B) {
	const processes = 2000
	for _, c := range []string{"bare", "log"} {
		b.Run(c, func(b *testing.B) {
			m := newMover(b)
			dir := b.TempDir()
			var fifos []*fifo
			var pumps []*Pump
			for i := range processes {
				f := newFIFO(b)
				fifos = append(fifos, f)
				if c == "log" {
					pumps = append(pumps, move(b, open(b, m, fmt.Sprintf("%s/%d", dir, i), Options{}), f, 1))
				}
			}
			line := make([]byte, 100)
			line[99] = '\n'
			for i, p := range pumps { // its files are there
				unix.Write(int(fifos[i].tree.Fd()), line)
				p.Flush()
			}
			b.ResetTimer()
			before := cpu()
			var work sync.WaitGroup
			work.Go(func() {
				start := time.Now()
				for round := range 10 * b.N {
					for i, f := range fifos { // spread over the time
						if i%20 == 0 {
							at := time.Duration(round)*100*time.Millisecond + time.Duration(i)*100*time.Millisecond/processes
							time.Sleep(time.Until(start.Add(at)))
						}
						unix.Write(int(f.tree.Fd()), line)
					}
					if c == "bare" && round%100 == 99 {
						b.StopTimer()
						for _, f := range fifos {
							drain(f)
						}
						b.StartTimer()
					}
				}
			})
			work.Wait()
			b.ReportMetric((cpu()-before).Seconds()/float64(b.N), "cores")
			for _, p := range pumps {
				p.Finish()
			}
		})
	}
}

// BenchmarkSteady has one process log at a steady rate. One op is a second.
func BenchmarkSteady(b *testing.B) {
	for _, lines := range []int{100, 1000, 10_000, 100_000} { // a second, of 100 bytes
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			l := open(b, newMover(b), b.TempDir()+"/x", Options{})
			f := newFIFO(b)
			p := move(b, l, f, 1)
			line := make([]byte, 100)
			line[99] = '\n'
			b.ResetTimer()
			before := cpu()
			var busy time.Duration // the writer's
			start := time.Now()
			const slices = 100
			for i := range slices * b.N {
				time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / slices)))
				begun := time.Now()
				for range lines / slices {
					unix.Write(int(f.tree.Fd()), line)
				}
				busy += time.Since(begun)
			}
			b.ReportMetric((cpu()-before).Seconds()/float64(b.N), "cores")
			b.ReportMetric(busy.Seconds()/float64(b.N), "writing")
			p.Finish()
		})
	}
}

func drain(f *fifo) {
	n := buffered(int(f.tree.Fd()))
	read(int(f.tree.Fd()), n, func([]byte) {})
}
