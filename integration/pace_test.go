package integration

import (
	"os"
	"time"
)

// slowdown is how much longer programs compute here than on a host: guests are
// mostly emulated.
func slowdown() int {
	if os.Getenv("GUEST") != "" {
		return 10
	}
	return 1
}

// paced is a time that a process of a test is given to do something in.
func paced(d time.Duration) time.Duration { return d * time.Duration(slowdown()) }
