package supervisor

import (
	"bytes"
	"fmt"
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
			got := tail.Last(0)
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
	if got := tail.Last(2); string(got) != "line 19998\nline 19999\n" {
		t.Errorf("last two: %q", got)
	}
	tail.Write(bytes.Repeat([]byte("x"), 3*tailSize))
	if got := tail.Last(0); len(got) != tailSize {
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
	if first := kept[0].Last(0); len(first) != 0 {
		t.Error("the one that was quiet longest is still there")
	}
	if last := kept[9].Last(0); len(last) == 0 {
		t.Error("the one that was written last is gone")
	}
	for _, tail := range kept {
		tail.Remove()
	}
	if all.total != 0 || all.order.Len() != 0 {
		t.Errorf("%d bytes and %d tails are left", all.total, all.order.Len())
	}
}
