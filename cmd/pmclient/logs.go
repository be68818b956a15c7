package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

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
	of, err := process.ParseSelection(strings.Join(names, ","))
	if err != nil {
		return usageOf("logs", "%w", err)
	}
	a.Params = append([]heroscript.Param{{Key: "name", Value: of.String()}}, without(a.Params, "name")...)
	q, json, err := verbs.LogQuery(a)
	if err != nil {
		return usageOf("logs", "%w", err)
	}
	c, err := conn.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	m := follower{c, stdout.raw}
	if name, plain := of.Name(); plain {
		return ended(ctx, q.Follow, verbs.WriteLog(ctx, m, name, q, json, stdout))
	}
	return logSeveral(ctx, m, of, q, json, stdout)
}

func without(params []heroscript.Param, key string) (kept []heroscript.Param) {
	for _, p := range params {
		if p.Key != key {
			kept = append(kept, p)
		}
	}
	return kept
}

// logSeveral writes several logs, whole lines each. Where they are followed, all end with
// the first one that cannot be.
func logSeveral(ctx context.Context, m verbs.Manager, of process.Selection, q process.LogQuery, json bool, stdout *output) error {
	list, err := m.Show(ctx, of, process.Brief)
	if err != nil {
		return err
	}
	var names []string
	var failed []error
	for _, o := range list {
		if o.Err != nil {
			failed = append(failed, o.Err)
		} else {
			names = append(names, o.Name)
		}
	}
	if q.Follow && len(failed) > 0 {
		return errors.Join(failed...)
	}
	width := verbs.Widest(names)
	var mu sync.Mutex
	err = verbs.WriteLogs(ctx, m, names, q, json, func(i int) (io.Writer, func(error) error) {
		lines := &verbs.Lines{Mu: &mu, W: stdout.raw}
		if !json {
			lines.Prefix = prefix(names[i], width, i, stdout)
		}
		if q.Follow {
			lines.Patience = verbs.OpenDelay
		}
		w, flush := stdout.shown(lines)
		return w, func(err error) error {
			return errors.Join(ended(ctx, q.Follow, err), flush(), lines.Flush())
		}
	})
	return errors.Join(append(failed, err)...)
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
	text := verbs.Prefix(name, width)
	if stdout.terminal && os.Getenv("NO_COLOR") == "" {
		text = fmt.Sprintf("\x1b[%dm%s\x1b[0m", 31+i%6, text)
	}
	return text
}
