package supervisor

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestTailKeepsTheEnd(t *testing.T) {
	all := &tails{limit: tailTotal}
	tail := all.add()
	var whole bytes.Buffer
	for i := range 20_000 {
		line := fmt.Sprintf("line %d\n", i)
		whole.WriteString(line)
		tail.Write([]byte(line))
		if i%997 == 0 || i > 19_990 {
			got, _ := tail.Last(0)
			if !bytes.HasSuffix(whole.Bytes(), got) {
				t.Fatalf("after line %d it is not the end", i)
			}
			if whole.Len() > tailSize && len(got) < tailSize-16 || len(got) > tailSize {
				t.Fatalf("after line %d it has %d bytes", i, len(got))
			}
			if !bytes.HasPrefix(got, []byte("line ")) {
				t.Fatalf("it begins in the middle of a line: %q", got[:10])
			}
		}
	}
	if got, _ := tail.Last(2); string(got) != "line 19998\nline 19999\n" {
		t.Errorf("last two: %q", got)
	}
	tail.Write(bytes.Repeat([]byte("x"), 3*tailSize))
	if got, _ := tail.Last(0); len(got) != tailSize {
		t.Errorf("one long line: %d bytes", len(got))
	}
}

func TestTailsTogetherStayUnderTheLimit(t *testing.T) {
	all := &tails{limit: 3 * tailSize}
	var kept []*tail
	for range 10 {
		tail := all.add()
		kept = append(kept, tail)
		tail.Write(bytes.Repeat([]byte("some line\n"), tailSize/10))
		if all.total > all.limit {
			t.Fatalf("%d bytes of %d", all.total, all.limit)
		}
	}
	if first, _ := kept[0].Last(0); len(first) != 0 {
		t.Error("the one that was quiet longest is still there")
	}
	if last, _ := kept[9].Last(0); len(last) == 0 {
		t.Error("the one that was written last is gone")
	}
	for _, tail := range kept {
		tail.Remove()
	}
	if all.total != 0 || all.order.Len() != 0 {
		t.Errorf("%d bytes and %d tails are left", all.total, all.order.Len())
	}
}

func TestFileGivesItsLastLines(t *testing.T) {
	o := &fileOutlet{dir: filepath.Join(t.TempDir(), "logs", "x")}
	if got, err := o.Last(5); len(got) != 0 || err != nil {
		t.Fatal(got, err)
	}
	var whole strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&whole, "%d\n", i)
	}
	whole.WriteString("no end")
	o.Write([]byte(whole.String()))
	o.Rest()
	for n, want := range map[int]string{1: "no end", 2: "29999\nno end", 0: whole.String(), 30_000: strings.TrimPrefix(whole.String(), "0\n"), 99_999: whole.String()} {
		if got, err := o.Last(n); string(got) != want || err != nil {
			t.Errorf("last %d: %d bytes, not %d: %v", n, len(got), len(want), err)
		}
	}
}

func TestCaptureMovesEveryByteInOrder(t *testing.T) {
	dir := t.TempDir()
	out := &fileOutlet{dir: dir + "/log"}
	c, tree, err := newCapture(dir+"/fifo", out, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	for i := range 50_000 {
		line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", i%50))
		want.WriteString(line)
		if _, err := tree.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	c.finish() // what is still in the pipe too
	if got, _ := out.Last(0); !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d bytes arrived, %d were written", len(got), want.Len())
	}
	tree.Close()
}

// Somebody who left the group can go on writing; the end of the run must not wait.
func TestCaptureFinishesUnderAnEndlessWriter(t *testing.T) {
	dir := t.TempDir()
	c, tree, err := newCapture(dir+"/fifo", &fileOutlet{dir: dir + "/log"}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for block := bytes.Repeat([]byte("y\n"), 2048); ; {
			if _, err := tree.Write(block); err != nil {
				return
			}
		}
	}()
	c.finish()
	tree.Close() // its pipe is full: nobody reads
	<-stop
}
