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
// they meet the same machine. An op is a round. The figures are medians over the rounds,
// of the rate as a part of another:
//
//	discarded-of-file  a pipe that is emptied without a copy, of the plain file: no
//	                   mover can be faster
//	spliced-of-file    a pipe that a bare loop splices into one file
//	log-of-file, one-file-of-file, log-of-spliced
//
// where the one file is a log that is never rotated.
func benchmarkWriter(b *testing.B, size int, promises func(figure map[string]float64)) {
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
	create := func(name string) *os.File {
		f, err := os.OpenFile(dir+"/"+name, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		return f
	}
	toFile := func() (rate, cost float64) {
		f := create("plain")
		defer os.Remove(f.Name())
		defer f.Close()
		return write(f, func() {})
	}
	toPipe := func(to *os.File) (rate, cost float64) {
		defer to.Close()
		r, w, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		from := int(r.Fd()) // blocking from now on
		if _, err := unix.FcntlInt(uintptr(from), unix.F_SETPIPE_SZ, busyPipe); err != nil {
			b.Fatal(err)
		}
		done := make(chan error)
		go func() {
			for {
				n, err := unix.Splice(from, nil, int(to.Fd()), nil, takeLimit, 0)
				if n <= 0 && err != unix.EINTR {
					done <- err
					return
				}
			}
		}()
		return write(w, func() {
			w.Close()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
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
	of := map[string][]float64{}
	note := func(figure string, value float64) { of[figure] = append(of[figure], value) }
	toFile() // memory that was never used before is dearer
	for b.Loop() {
		discard, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		discarded, _ := toPipe(discard)
		plain, _ := toFile()
		spliced, _ := toPipe(create("spliced"))
		os.Remove(dir + "/spliced")
		rotated, rotatedCost := toLog(Options{})
		one, oneCost := toLog(Options{MaxSize: 1 << 40})
		note("discarded-of-file", discarded/plain)
		note("spliced-of-file", spliced/plain)
		note("log-of-file", rotated/plain)
		note("log-of-spliced", rotated/spliced)
		note("log-cpu-s/GB", rotatedCost)
		note("one-file-of-file", one/plain)
		note("one-file-cpu-s/GB", oneCost)
	}
	figure := map[string]float64{}
	for name, values := range of {
		figure[name] = median(values)
		b.ReportMetric(figure[name], name)
	}
	if b.N > 1 { // one round says too little
		promises(figure)
	}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// BenchmarkBlocks fails where the log is not most of what a bare loop makes of a pipe.
// Where the page cache takes a plain file at memory speed, as long as it does, no pipe
// comes near.
func BenchmarkBlocks(b *testing.B) {
	benchmarkWriter(b, 64<<10, func(figure map[string]float64) {
		if figure["log-of-file"] < 0.7 && figure["log-of-spliced"] < 0.7 {
			b.Errorf("blocks into a log: %.2f of a plain file, %.2f of a bare splice; at least 0.7 of either is promised",
				figure["log-of-file"], figure["log-of-spliced"])
		}
		if figure["log-cpu-s/GB"] > 1 {
			b.Errorf("blocks into a log: %.2f s of CPU a GB, at most 1 is promised", figure["log-cpu-s/GB"])
		}
	})
}

func BenchmarkLines(b *testing.B) {
	benchmarkWriter(b, 100, func(figure map[string]float64) {
		if figure["log-of-file"] < 0.8 {
			b.Errorf("lines into a log: %.2f of a plain file, at least 0.8 is promised", figure["log-of-file"])
		}
	})
}

// BenchmarkQuiet has 2,000 processes log 10 lines a second each. One op is a
// second. cores is what it takes of one: bare is without the mover, the writers alone,
// which are in this process. It fails where the mover takes more than promised.
func BenchmarkQuiet(b *testing.B) {
	const processes = 2000
	cores := map[string]float64{}
	defer func() {
		if mover := cores["log"] - cores["bare"]; mover > 0.2 {
			b.Errorf("the mover takes %.2f of a core, at most 0.2 is promised", mover)
		}
	}()
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
			cores[c] = (cpu() - before).Seconds() / float64(b.N)
			b.ReportMetric(cores[c], "cores")
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
