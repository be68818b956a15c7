package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A fault in one file's mending is its error: the keeper goes on with the others.
func TestAFaultInMendingIsAnError(t *testing.T) {
	m := &mender{mend: func() (bool, error) { panic("mending") }}
	if mended, err := m.tryMend(); mended || err == nil || !strings.Contains(err.Error(), "panic: mending, at ") {
		t.Errorf("got %v, %v", mended, err)
	}
}

// A socket that was made again serves root. That it does not let in the others is said.
func TestASocketThatIsMadeAgainBehindAShutDirectoryIsTold(t *testing.T) {
	asRoot(t)
	tmp := t.TempDir()
	os.Chmod(filepath.Dir(tmp), 0o755)
	os.Chmod(tmp, 0o700)
	f, err := unixSocket(tmp + "/pm.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &place{places: places{Socket: tmp + "/pm.sock"}, access: access{Mode: 0o660, Group: "20345"}, listeners: []*os.File{f}}
	m := &mender{path: p.Socket, mend: p.mendUnix(0, "socket", p.Socket, &p.socketFile), listener: 1}
	mended, err := m.tryMend()
	if !mended || !isOurs(p.Socket) {
		t.Errorf("nobody listens: %v", err)
	}
	var said bytes.Buffer
	m.say(newLogger(&said), mended, err)
	if got := said.String(); !strings.Contains(got, "pm.sock was not there any more and was made again, but: group 20345 cannot reach") {
		t.Errorf("said %q", got)
	}
	if mended, err := m.tryMend(); mended || err != nil {
		t.Errorf("again: %v, %v", mended, err)
	}
}
