package host

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// Patience is how long a test waits for what must come. A guest is slow.
const Patience = 90 * time.Second

// Exists reports whether there is anything at path, a link that leads nowhere included.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Alive reports whether there is a process, one that waits to be reaped included.
func Alive(pid int) bool { return Exists(fmt.Sprintf("/proc/%d", pid)) }

// Read is what a file holds.
func Read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Write has a file hold a text.
func Write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until cond holds. If it does not come to that, the test ends, and shows what
// the host has said.
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for limit := time.Now().Add(Patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("in vain waited until %s\n%s", what, Journal())
		}
	}
}

// Journal is what the host has said lately.
func Journal() string {
	out, _ := Root.Try("journalctl", "--no-pager", "-n", "40", "-o", "short-monotonic")
	return out
}

// Property is one of a unit of the system's.
func Property(name, unit string) string {
	out, _ := Root.Try("systemctl", "show", "--value", "-p", name, unit)
	return out
}
