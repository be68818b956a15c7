package supervisor

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What a command in the foreground writes before its watcher is back at the next worker is kept,
// however small its log is to be.
func TestTheLogOfAForegroundIsHeldFromTheTakeoverOn(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	one := spec("a")
	one.Logging = process.Logging{Log: true, LogBlock: true, LogMaxSize: process.MinLogSize, LogMaxTotal: process.MinLogTotal, LogMaxFiles: 1}
	kept := keptOf(one)
	kept.Foreground = process.ForegroundKeep
	log := w.take(t, kept).output.log
	path := w.dir + "/pipe"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	pump, err := log.Move(reader, 1)
	if err != nil {
		t.Fatal(err)
	}
	wrote := bytes.Repeat([]byte("a line\n"), 50_000) // 350 kB
	if _, err := tree.Write(wrote); err != nil {
		t.Fatal(err)
	}
	pump.Finish()
	var read bytes.Buffer
	if _, err := log.Read(t.Context(), logs.Query{Run: 1, Missing: func(from, to int64) { t.Errorf("%d to %d are gone", from, to) }}, &read); err != nil || !bytes.Equal(read.Bytes(), wrote) {
		t.Errorf("%d of %d bytes are there: %v", read.Len(), len(wrote), err)
	}
}
