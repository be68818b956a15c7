package keeper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

// programNotes is how a copy of the test binary differs from it. They stand behind
// the end of the executable, where the kernel takes no notice of them.
type programNotes struct {
	Name     string
	Protocol int    // 0: as it was compiled
	Check    string // what it does with CheckArg: "exit", "hang", "garbage"
	Checked  string // a file that it makes then
	Files    uint64 // how many its worker may open; 0: the usual number
	Worker   string // what its worker does instead of READY: "die", "hang", "fail"
}

const notesMark = "\nnotes of a test program: "

// this is what this program is.
var this programNotes

func readProgram() (n programNotes) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	size, _ := f.Seek(0, io.SeekEnd)
	tail := make([]byte, 512)
	f.ReadAt(tail, size-int64(len(tail)))
	if _, notes, ok := bytes.Cut(tail, []byte(notesMark)); ok {
		if err := json.Unmarshal(notes, &n); err != nil {
			panic(err)
		}
	}
	return n
}

func playCheck() int {
	if this.Checked != "" {
		os.WriteFile(this.Checked, nil, 0o600)
	}
	switch this.Check {
	case "exit":
		return 3
	case "hang":
		time.Sleep(time.Hour)
	case "garbage":
		fmt.Println("processmanager keeper protocol 1.5")
	default:
		WriteCheck(os.Stdout)
	}
	return 0
}

// install puts a program where the keeper looks for the next one.
func (k *keeperProcess) install(n programNotes) {
	k.t.Helper()
	notes, err := json.Marshal(n)
	if err != nil {
		k.t.Fatal(err)
	}
	k.installBytes(append(append(bytes.Clone(selfProgram(k.t)), notesMark...), notes...), 0o700)
}

func (k *keeperProcess) installBytes(data []byte, mode os.FileMode) {
	k.t.Helper()
	tmp := k.dir + "/program.new"
	// A child that another test clones meanwhile would have it open for writing until
	// its exec, and nobody could execute it (ETXTBSY).
	syscall.ForkLock.RLock()
	err := os.WriteFile(tmp, data, mode)
	syscall.ForkLock.RUnlock()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := os.Rename(tmp, k.dir+"/program"); err != nil {
		k.t.Fatal(err)
	}
}

func selfProgram(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return data
}
