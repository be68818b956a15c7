package client

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestDaemonThatSaysNothingIsNotWaitedForForEver(t *testing.T) {
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path) // and nobody accepts, as when a daemon is stopped
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer func(d time.Duration) { greetTime = d }(greetTime)
	greetTime = 10 * time.Millisecond
	if _, err := Dial(t.Context(), Config{Socket: path, Secret: []byte("x")}); err == nil || !strings.Contains(err.Error(), "has not answered in") {
		t.Errorf("%v", err)
	}
}
