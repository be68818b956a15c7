package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What the daemon does for one request that asks for several logs.
const (
	maxFollowed = 100      // logs that are followed side by side
	maxHeld     = 64 << 10 // bytes that wait for the end of a line, or of a piece, of one
)

// WriteLogs writes the logs of several processes in one of the formats of process.log: one
// after another or, where they are followed, side by side, and all end with the first that
// cannot be followed any more. to says where one of them goes. end is called behind it, with
// the error that it came to, and gives the one that counts.
func WriteLogs(ctx context.Context, m Manager, names []string, q process.LogQuery, json bool, to func(i int) (w io.Writer, end func(error) error)) error {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(names))
	one := func(i int) {
		w, end := to(i)
		err := writeLog(within, m, names[i], q, json, w, maxHeld)
		switch {
		case ctx.Err() == nil && within.Err() != nil: // another one has ended all
			err = nil
		case err != nil:
			if err = about(names[i], err); q.Follow {
				cancel()
			}
		}
		errs[i] = end(err)
	}
	if !q.Follow {
		for i := range names {
			one(i)
		}
		return errors.Join(errs...)
	}
	var all sync.WaitGroup
	var fault atomic.Pointer[border.Panic]
	for i := range names {
		all.Go(func() {
			defer border.Catch(func(p *border.Panic) { fault.Store(p); cancel() })
			one(i)
		})
	}
	all.Wait()
	if p := fault.Load(); p != nil {
		panic(p) // it is this answer's
	}
	return errors.Join(errs...)
}

// about is an error of a log, with the name of its process if it has none.
func about(name string, err error) error {
	if strings.Contains(err.Error(), "'"+name+"'") {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// readLogs is process.log of several. What cannot be read is told of each; what cannot be
// followed is refused.
func readLogs(ctx context.Context, m Manager, of process.Selection, q process.LogQuery) (result, error) {
	list, err := m.Show(ctx, of, process.Brief)
	if err != nil {
		return nil, err
	}
	if q.Follow && len(list) > maxFollowed {
		return nil, process.Errorf(process.CodeInvalid, "name: these are %d processes, and at most %d logs are followed at once", len(list), maxFollowed)
	}
	for i := range list {
		o := &list[i]
		if o.Err == nil {
			o.Err = mayRead(o.Status, q)
		}
		if o.Err == nil {
			continue
		}
		if o.Err = about(o.Name, o.Err); q.Follow {
			return nil, o.Err
		}
	}
	return logs{ctx, m, list, q}, nil
}

// logs is the result of log of several.
type logs struct {
	ctx  context.Context
	m    Manager
	list []process.Outcome // with the error of a log that cannot be read
	q    process.LogQuery
}

// write writes whole lines: as text, each behind the name of its process, or in JSON one
// object each, as of one log.
func (l logs) write(w io.Writer, s style) error {
	return streamed(l.ctx, w, s, l.each(w, s, func(name string, err error) error {
		switch {
		case l.ctx.Err() != nil: // it is the end of all
			return err
		case s.json:
			return writeJSON(w, process.Outcome{Name: name, Err: err})
		}
		return writeError(w, err)
	}))
}

func (l logs) send(w io.Writer, s style) error {
	return l.each(w, s, func(_ string, err error) error { return err })
}

// each writes the logs. failed is called where there is no other, and gives the error that
// counts.
func (l logs) each(w io.Writer, s style, failed func(name string, err error) error) error {
	var mu sync.Mutex
	var names []string
	var errs []error
	for _, o := range l.list {
		if o.Err != nil {
			errs = append(errs, failed(o.Name, o.Err))
		} else {
			names = append(names, o.Name)
		}
	}
	width := Widest(names)
	err := WriteLogs(l.ctx, l.m, names, l.q, s.json, func(i int) (io.Writer, func(error) error) {
		lines := &Lines{Mu: &mu, W: w}
		if !s.json {
			lines.Prefix, lines.Most = Prefix(names[i], width), maxHeld
		}
		if l.q.Follow {
			lines.Patience = OpenDelay
		}
		return lines, func(err error) error {
			unwritten := lines.Flush()
			if err == nil {
				return unwritten
			}
			mu.Lock()
			defer mu.Unlock()
			return failed(names[i], err)
		}
	})
	return errors.Join(append(errs, err)...)
}

func (l logs) follows() bool { return l.q.Follow }

// Prefix is what stands before a line of one of several logs, in a column of a width.
func Prefix(name string, width int) string { return fmt.Sprintf("%-*s | ", width, name) }

// Widest is the width of the column that has names.
func Widest(names []string) (width int) {
	for _, name := range names {
		width = max(width, len(name))
	}
	return width
}
