package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Only the very file that systemd has named is taken for its journal: whoever sends standard
// error elsewhere wants to read who writes.
func TestJournalIsKnownByTheFile(t *testing.T) {
	open := func(name string) (*os.File, string) {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		s := info.Sys().(*syscall.Stat_t)
		return f, fmt.Sprintf("%d:%d", s.Dev, s.Ino)
	}
	journal, stream := open("journal")
	other, _ := open("other")
	for _, c := range []struct {
		f      *os.File
		stream string
		want   bool
	}{
		{journal, stream, true}, {other, stream, false}, {journal, "", false}, {journal, "8:1", false},
	} {
		if got := isJournal(c.f, c.stream); got != c.want {
			t.Errorf("%s with %q: %v", c.f.Name(), c.stream, got)
		}
	}

	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	os.Stderr = journal
	for _, c := range []struct{ stream, want string }{
		{stream, "<6>begins\n<4>hurts\n<3>ends\n"},
		{"", "processmanager: begins\nprocessmanager: hurts\nprocessmanager: ends\n"},
	} {
		t.Setenv("JOURNAL_STREAM", c.stream)
		var out bytes.Buffer
		l := newLogger(&out)
		l.Print("begins")
		warning(l).Print("hurts")
		at(priorityError, l).Print("ends")
		if out.String() != c.want {
			t.Errorf("%q, not %q", &out, c.want)
		}
	}
}
