package run

import (
	"sync"
	"time"
)

// noticePause is how long after one notice of a group's limits the next is passed on. A tree
// that comes to its limits all the time has 100 a second, and each costs a look.
const noticePause = 100 * time.Millisecond

// seldom is a call that calls tell: at once, or when the one before is noticePause ago, and
// once for all that come until then.
func seldom(c Clock, tell func()) func() {
	var mu sync.Mutex
	var next time.Duration // when the next may be told
	waits := false         // one does, until then
	return func() {
		mu.Lock()
		defer mu.Unlock()
		now := c.Now()
		switch {
		case waits:
		case now >= next:
			next = now + noticePause
			tell()
		default:
			waits = true
			c.At(next, func() {
				mu.Lock()
				defer mu.Unlock()
				waits, next = false, c.Now()+noticePause
				tell()
			})
		}
	}
}
