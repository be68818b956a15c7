package run

import (
	"errors"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
)

// Some looks at the machine never end: at a path whose file system hangs, or into the memory of a
// process that waits for one. So nobody waits for long for them, and what does not answer is not
// asked again meanwhile: each look costs a thread.

// errNoAnswer: a look takes too long.
var errNoAnswer = errors.New("no answer")

// looks are looks at things that have names, one at each at a time.
type looks[T any] struct {
	mu    sync.Mutex
	under map[string]*look[T]
}

type look[T any] struct {
	late  time.Time
	done  chan struct{} // closed when there is an answer
	value T
	err   error
}

// at is what ask gives of a thing, to all who want it meanwhile.
//
// Errors: errNoAnswer when that takes longer than limit.
func (l *looks[T]) at(name string, limit time.Duration, ask func() (T, error)) (value T, err error) {
	one := l.begin(name, limit, ask)
	late := time.NewTimer(time.Until(one.late))
	defer late.Stop()
	select {
	case <-one.done:
		return one.value, one.err
	case <-late.C:
		return value, errNoAnswer
	}
}

// begin is the look that is under way, or a new one.
func (l *looks[T]) begin(name string, limit time.Duration, ask func() (T, error)) *look[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one := l.under[name]; one != nil {
		return one
	}
	one := &look[T]{late: time.Now().Add(limit), done: make(chan struct{})}
	if l.under == nil {
		l.under = map[string]*look[T]{}
	}
	l.under[name] = one
	go func() {
		defer func() {
			l.mu.Lock()
			delete(l.under, name)
			l.mu.Unlock()
			close(one.done)
		}()
		defer border.Catch(func(fault *border.Panic) { one.err = fault })
		one.value, one.err = ask()
	}()
	return one
}
