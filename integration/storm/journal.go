package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// journal keeps the last events, and the first thing that was wrong.
type journal struct {
	began time.Time
	stop  context.CancelCauseFunc // ends the storm

	mu     sync.Mutex
	events [200]string
	n      int
}

func (j *journal) notef(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events[j.n%len(j.events)] = fmt.Sprintf("%9.3f ", time.Since(j.began).Seconds()) + fmt.Sprintf(format, args...)
	j.n++
}

// failf says what is wrong, which ends the storm.
func (j *journal) failf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	j.notef("WRONG: %v", err)
	j.stop(err)
}

func (j *journal) last() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var b strings.Builder
	for i := max(0, j.n-len(j.events)); i < j.n; i++ {
		fmt.Fprintln(&b, j.events[i%len(j.events)])
	}
	return b.String()
}
