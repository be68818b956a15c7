package logs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	playMover = "LOGS_TEST_MOVER" // the directory of the log
	moverFIFO = "LOGS_TEST_FIFO"
	moverSize = "LOGS_TEST_MAX_SIZE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(playMover); dir != "" {
		beMover(dir)
	}
	if size := os.Getenv(playWriter); size != "" {
		beWriter(size)
		return
	}
	os.Exit(m.Run())
}

// beMover moves until it is killed.
func beMover(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	m, err := NewMover()
	fail(err)
	m.pack.delay = time.Millisecond
	size, err := strconv.ParseInt(os.Getenv(moverSize), 10, 64)
	fail(err)
	l, err := m.Open(dir, Options{MaxSize: size, MaxFiles: 1 << 30, Report: func(err error) { fmt.Println(err) }})
	fail(err)
	fifo, err := os.OpenFile(os.Getenv(moverFIFO), os.O_RDONLY|unix.O_NONBLOCK, 0)
	fail(err)
	_, err = l.Move(fifo, 1)
	fail(err)
	fmt.Println("moving")
	select {}
}

func TestKilledMoversLoseNothing(t *testing.T) {
	for _, c := range []struct {
		name    string
		maxSize int64
		lines   int
		pause   time.Duration // between two lines of a writer
	}{
		{"one file", 1 << 40, 25_000, 0},
		{"many files", 32 << 10, 8_000, 0},
		{"slow writers", 4 << 10, 2_000, 300 * time.Microsecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() {
				c.lines /= 10
			}
			storm(t, c.maxSize, c.lines, c.pause)
		})
	}
}

func storm(t *testing.T, maxSize int64, lines int, pause time.Duration) {
	const writers = 8
	dir := t.TempDir() + "/x"
	f := newFIFO(t)
	done := make(chan struct{})
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			pad := strings.Repeat("x", 200)
			for i := range lines {
				if _, err := fmt.Fprintf(f.tree, "%d %d %s\n", w, i, pad[:(i*7+w)%200]); err != nil {
					t.Error(err)
					return
				}
				if pause > 0 {
					sleep(pause)
				}
			}
		})
	}
	go func() { work.Wait(); close(done) }()
	kills := killMovers(t, dir, f, maxSize, done)
	l := open(t, newMover(t), dir, Options{MaxSize: maxSize, MaxFiles: 1 << 30})
	move(t, l, f, 1).Finish()
	next := [writers]int{}
	all := 0
	_, err := l.Read(context.Background(), Query{}, &lineWriter{f: func(line string) {
		part := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(part) != 3 {
			t.Fatalf("a broken line: %.100q", line)
		}
		w, _ := strconv.Atoi(part[0])
		i, _ := strconv.Atoi(part[1])
		pad := part[2]
		if i != next[w] || len(pad) != (i*7+w)%200 {
			t.Fatalf("writer %d: line %d stands where %d should, with a pad of %d", w, i, next[w], len(pad))
		}
		next[w]++
		all++
	}})
	if err != nil {
		t.Fatal(err)
	}
	if all != writers*lines {
		t.Errorf("%d lines, not %d", all, writers*lines)
	}
	if whole, runs := query(t, l, Query{}), query(t, l, Query{Run: 1})+query(t, l, Query{Run: 2}); runs != whole {
		t.Errorf("the two runs have %d bytes, not %d", len(runs), len(whole))
	}
	list, _ := segments(dir)
	packed := 0
	var before entry
	for _, s := range list {
		b, err := os.ReadFile(s.path(indexSuffix))
		if err != nil || len(b)%entrySize != 0 {
			t.Fatalf("an index of %d bytes: %v", len(b), err)
		}
		for ; len(b) > 0; b = b[entrySize:] {
			e := parseEntry(b)
			if e.off < before.off || e.at < before.at || e.run < before.run {
				t.Errorf("%v stands behind %v", e, before)
			}
			before = e
		}
		if s.packed {
			packed++
		}
	}
	t.Logf("%d kills, %d files, %d compressed", kills, len(list), packed)
}

// killMovers has one mover after the other move from f, each for a moment, until
// done is closed. The last one is killed too.
func killMovers(t *testing.T, dir string, f *fifo, maxSize int64, done <-chan struct{}) (kills int) {
	t.Helper()
	for running := true; running; kills++ {
		var out bytes.Buffer
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), playMover+"="+dir, moverFIFO+"="+f.path, fmt.Sprintf("%s=%d", moverSize, maxSize))
		child.Stderr = &out
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewReader(stdout)
		if line, err := said.ReadString('\n'); line != "moving\n" {
			t.Fatalf("the mover says %q (%v)\n%s", line, err, out.String())
		}
		select {
		case <-done:
			running = false
		case <-time.After(time.Duration(rand.IntN(40_000)) * time.Microsecond):
		}
		child.Process.Kill()
		rest, _ := said.ReadString(0)
		child.Wait()
		if rest != "" || out.Len() > 0 {
			t.Errorf("the mover says:\n%s%s", rest, out.String())
		}
	}
	return kills
}

// lineWriter gives whole lines to f.
type lineWriter struct {
	f    func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		w.f(string(w.rest[:i+1]))
		w.rest = w.rest[i+1:]
	}
}

// TestKilledMoversKeepEqualBlocks: what repeats itself cannot be told apart by what
// it is, and a fast writer gives a kill the most to meet.
func TestKilledMoversKeepEqualBlocks(t *testing.T) {
	blocks := 3000
	if testing.Short() {
		blocks /= 10
	}
	dir := t.TempDir() + "/x"
	f := newFIFO(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		block := bytes.Repeat([]byte("0123456789abcde\n"), 4096)
		for range blocks {
			if _, err := f.tree.Write(block); err != nil {
				t.Error(err)
			}
		}
	}()
	const size = 8 << 20
	kills := killMovers(t, dir, f, size, done)
	l := open(t, newMover(t), dir, Options{MaxSize: size, MaxFiles: 1 << 30})
	move(t, l, f, 1).Finish()
	v := &view{dir: dir}
	defer v.close()
	v.refresh()
	if end, err := v.end(); err != nil || end != int64(blocks)<<16 {
		t.Errorf("%d bytes, not %d: %v", end, blocks<<16, err)
	}
	t.Logf("%d kills", kills)
}
