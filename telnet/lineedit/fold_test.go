package lineedit

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestColumns(t *testing.T) {
	words := []string{"format: ", "jobid:", "name:"}
	if got, want := columns(words, 20), "format:  jobid:\nname:\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := columns(words, 5), "format:\njobid:\nname:\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	many := make([]string, maxListed+3)
	if got, want := columns(many, 80), "… and 3 more\n"; got[len(got)-len(want):] != want {
		t.Errorf("got %q", got)
	}
}

func TestErrorsAreFolded(t *testing.T) {
	for step := 10; step < 50; step += 10 { // the first piece tells what the line is
		var b bytes.Buffer
		v := &visible{w: &b, color: true, width: 20}
		for p := []byte("Error: this does not fit a line\nall else that is too long stays\n"); len(p) > 0; {
			k := min(step, len(p))
			v.Write(p[:k])
			p = p[k:]
		}
		io.WriteString(v, "Error: no end")
		v.close()
		want := red + "Error: this does not\nfit a line" + reset + "\nall else that is too long stays\n" + red + "Error: no end" + reset + "\n"
		if b.String() != want {
			t.Errorf("in steps of %d: got %q, want %q", step, b.String(), fmt.Sprint(want))
		}
	}
}

// A line without an end is shown as it comes: it is not kept.
func TestWhatIsTooLongToFoldIsShown(t *testing.T) {
	var b bytes.Buffer
	v := &visible{w: &b, width: 20}
	long := "Error: " + strings.Repeat("word ", maxFold)
	io.WriteString(v, long[:maxFold])
	for i, c := range []byte(long[maxFold:]) {
		v.Write([]byte{c})
		if i > 0 && b.String() != long[:maxFold+i+1] {
			t.Fatalf("of %d bytes %d are shown", maxFold+i+1, b.Len())
		}
	}
	io.WriteString(v, "\nError: this does not fit a line\n")
	v.close()
	if want := long + "\nError: this does not\nfit a line\n"; b.String() != want {
		t.Errorf("got %d bytes, %q at the end", b.Len(), b.String()[max(0, b.Len()-50):])
	}
}
