package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// logsCommand writes the output of one process, or of several at once: then each
// line has its process's name in front.
func logsCommand(ctx context.Context, conn connection, args []string, stdout *output) error {
	command, _ := commands.Lookup("log")
	a := verbs.NewAction(command.Verb.Name)
	f := quietFlags("logs")
	conn.register(f)
	for _, given := range command.Flags {
		f.Var(&param{Param: given.Param, to: &a}, given.Name, "")
		if given.Short != "" {
			f.Var(&param{Param: given.Param, to: &a}, given.Short, "")
		}
	}
	names, err := parseWords(f, args)
	if err != nil {
		return err
	}
	if p, given := a.Get("name"); given {
		names = append(names, p.Value)
	}
	if len(names) == 0 {
		return usageOf("logs", "logs needs the name of a process")
	}
	var queries []process.LogQuery
	json := false
	for _, name := range names {
		one := a
		one.Params = append([]heroscript.Param{{Key: "name", Value: name}}, without(a.Params, "name")...)
		q, wantsJSON, err := verbs.LogQuery(one)
		if err != nil {
			return usageOf("logs", "%w", err)
		}
		queries, json = append(queries, q), wantsJSON
	}
	c, err := conn.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	m := follower{c, stdout.raw}
	if len(names) == 1 {
		return ended(ctx, queries[0].Follow, verbs.WriteLog(ctx, m, names[0], queries[0], json, stdout))
	}
	return logSeveral(ctx, m, names, queries, json, stdout)
}

func without(params []heroscript.Param, key string) (kept []heroscript.Param) {
	for _, p := range params {
		if p.Key != key {
			kept = append(kept, p)
		}
	}
	return kept
}

// logSeveral writes several logs at once, whole lines each. Where they are followed,
// all end with the first one that cannot be.
func logSeveral(ctx context.Context, m verbs.Manager, names []string, queries []process.LogQuery, json bool, stdout *output) error {
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	errs := make([]error, len(names))
	for i, name := range names {
		whole := &prefixer{mu: &mu, w: stdout.raw}
		if !json {
			whole.prefix = prefix(name, width, i, stdout)
		}
		if queries[i].Follow {
			whole.patience = openDelay
		}
		w, flush := stdout.shown(whole)
		all.Go(func() {
			err := ended(ctx, queries[i].Follow, verbs.WriteLog(ctx, m, name, queries[i], json, w))
			err = errors.Join(err, flush(), whole.flush())
			if err != nil && !strings.Contains(err.Error(), "'"+name+"'") { // it does not say whose
				err = fmt.Errorf("%s: %w", name, err)
			}
			if errs[i] = err; err != nil && queries[i].Follow {
				cancel()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// ended is nil for someone who has followed long enough.
func ended(ctx context.Context, follows bool, err error) error {
	if follows && (ctx.Err() != nil || errors.Is(err, errUnread)) {
		return nil
	}
	return err
}

// prefix is what stands before a line of a process, in its colour on a terminal.
func prefix(name string, width, i int, stdout *output) string {
	text := fmt.Sprintf("%-*s | ", width, name)
	if stdout.terminal && os.Getenv("NO_COLOR") == "" {
		text = fmt.Sprintf("\x1b[%dm%s\x1b[0m", 31+i%6, text)
	}
	return text
}

// openDelay is how long a follower of several logs waits for the rest of a line.
const openDelay = time.Second

// prefixer writes whole lines, each behind a prefix. Where patience is set, a line whose
// end does not come within that time, a prompt, say, is written and ended.
type prefixer struct {
	mu       *sync.Mutex
	w        io.Writer
	prefix   string
	patience time.Duration
	partial  []byte
	wait     *time.Timer // for the rest of partial
	ended    bool        // what was written last was ended by us
	err      error       // of w
}

func (p *prefixer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []byte
	n := len(b)
	if p.ended && n > 0 {
		b, p.ended = bytes.TrimPrefix(b, []byte("\n")), false
	}
	waited := len(p.partial) > 0
	for {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		p.partial = append(p.partial, line...)
		if !found {
			break
		}
		out = append(append(append(out, p.prefix...), p.partial...), '\n')
		p.partial, b = p.partial[:0], rest
	}
	if len(p.partial) > 0 && p.patience > 0 && (!waited || len(out) > 0) {
		if p.wait == nil {
			p.wait = time.AfterFunc(p.patience, p.endLine)
		} else {
			p.wait.Reset(p.patience)
		}
	}
	p.put(out)
	return n, p.err
}

// endLine writes and ends a line whose rest has not come.
func (p *prefixer) endLine() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.partial) > 0 {
		p.put(append(append([]byte(p.prefix), p.partial...), '\n'))
		p.partial, p.ended = p.partial[:0], true
	}
}

// flush writes a last line that has no end, and ends it.
func (p *prefixer) flush() error {
	if p.wait != nil {
		p.wait.Stop()
	}
	p.endLine()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *prefixer) put(out []byte) {
	if len(out) > 0 && p.err == nil {
		_, p.err = p.w.Write(out)
	}
}
