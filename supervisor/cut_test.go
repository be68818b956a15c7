package supervisor

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// lines are last lines of a run, and what is shown of each with its result.
var lines = map[string]string{
	"short":                                       "short",
	strings.Repeat("é", 200):                      strings.Repeat("é", 200),
	strings.Repeat("é", 201):                      strings.Repeat("é", 199) + "…",
	strings.Repeat("x", 199) + "漢字":               strings.Repeat("x", 199) + "…",
	strings.Repeat("漢", 5000):                     strings.Repeat("漢", 99) + "…",
	strings.Repeat("🙂", 5000):                     strings.Repeat("🙂", 99) + "…",
	"x" + strings.Repeat("🙂", 5000):               "x" + strings.Repeat("🙂", 99) + "…",
	"not UTF-8: \xff\xfe!":                        "not UTF-8: �!",
	strings.Repeat(" ", 5000) + "x":               "…",
	"cafe\u0301" + strings.Repeat("\u0301", 5000): "",
}

func TestTheLastLineIsCutBetweenCharacters(t *testing.T) {
	mover, err := logs.NewMover()
	if err != nil {
		t.Fatal(err)
	}
	defer mover.Close()
	for line, want := range lines {
		for _, end := range []string{"", "\n"} {
			tail := (&tails{limit: tailTotal}).add()
			tail.Write([]byte("one before\n" + line + end))
			got := output{tail: tail}.LastLine(1)
			if want != "" && got != want {
				t.Errorf("of %.40q…: %q, want %q", line, got, want)
			}
			if !utf8.ValidString(got) || screen.Cells(got) > shownLine || len(got) > 8*shownLine+len("…") {
				t.Errorf("of %.40q…: %q", line, got)
			}
		}
	}
}

func TestATailBeginsWithAWholeCharacterOrLine(t *testing.T) {
	for _, text := range []string{"é", "漢", "🙂", "x漢", "xx漢", "xé🙂", "x"} {
		for _, end := range []string{"", "\n"} {
			tail := (&tails{limit: tailTotal}).add()
			all := strings.Repeat(text, 2*tailSize/len(text)) + end
			for p := []byte(all); len(p) > 0; {
				k := min(1000, len(p))
				tail.Write(p[:k])
				p = p[k:]
			}
			got := string(tail.Last(0))
			rest, cut := strings.CutPrefix(got, "…")
			if !cut || !utf8.ValidString(got) || !strings.HasSuffix(all, rest) || len(got) > tailSize || len(got) < tailSize-8 {
				t.Errorf("of one long line of %q: %d bytes, which begin with %.20q", text, len(got), got)
			}
			if last := string(tail.Last(1)); last != got {
				t.Errorf("the last line of %q is %.20q", text, last)
			}
		}
	}
	binary := (&tails{limit: tailTotal}).add()
	binary.Write(bytes.Repeat([]byte{0x80}, 2*tailSize))
	if got := binary.Last(0); len(got) > tailSize || len(got) < tailSize-8 {
		t.Errorf("of what is no text %d bytes are left", len(got))
	}
}
