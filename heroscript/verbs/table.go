package verbs

import (
	"context"
	"strings"
)

// Verb is a command: one row of the table.
type Verb struct {
	Name   string // "process.start"
	Help   string // one line
	Params []Param
	do     func(context.Context, Manager, *request) (result, error)
}

// All is the verb table.
func All() []Verb { return table }

// Lookup finds a verb by its full name, or by the part behind the dot.
func Lookup(name string) (*Verb, bool) {
	for i := range table {
		if v := &table[i]; v.Name == name || v.Short() == name {
			return v, true
		}
	}
	return nil, false
}

// Short is the part of the name behind the dot: the client's word for it.
func (v *Verb) Short() string {
	return v.Name[strings.IndexByte(v.Name, '.')+1:]
}

var table = []Verb{
	{"process.start", "Start a new process, or the one that has the name.", startParams(),
		func(ctx context.Context, m Manager, r *request) (result, error) {
			status, err := m.Start(ctx, r.spec)
			return started(status), err
		}},
	{"process.list", "List all processes, by name.", nil,
		func(ctx context.Context, m Manager, r *request) (result, error) {
			all, err := m.List(ctx)
			return list(all), err
		}},
	{"process.status", "Show one process and what it uses.", []Param{nameParam},
		func(ctx context.Context, m Manager, r *request) (result, error) {
			status, err := m.Status(ctx, r.spec.Name)
			return status1(status), err
		}},
	{"process.stop", "End the whole tree; answers when nobody is left.", []Param{nameParam},
		func(ctx context.Context, m Manager, r *request) (result, error) {
			status, err := m.Stop(ctx, r.spec.Name)
			return stopped(status), err
		}},
	{"process.restart", "End the whole tree, then start the next run; one that waits for its schedule waits on.", []Param{nameParam},
		func(ctx context.Context, m Manager, r *request) (result, error) {
			status, err := m.Restart(ctx, r.spec.Name, r.spec.JobID)
			return started(status), err
		}},
	{"process.delete", "End the whole tree and forget the process, its history and logs.", []Param{nameParam},
		func(ctx context.Context, m Manager, r *request) (result, error) {
			return deleted(r.spec.Name), m.Delete(ctx, r.spec.Name)
		}},
	{"process.log", "Show a process's output: its last lines, those of a time or a run, or as it comes.", append([]Param{nameParam}, logParams...),
		func(ctx context.Context, m Manager, r *request) (result, error) {
			return readLog(ctx, m, r.spec.Name, r.log)
		}},
	{"upgrade", "Bring in the program now on disk; trees and connections waiting live on.", []Param{resultParam},
		func(ctx context.Context, m Manager, r *request) (result, error) {
			u, err := m.Upgrade(ctx, r.upgrade)
			return upgraded(u), err
		}},
	{"doctor", "Show what the daemon found on this host, what follows, and what mends it.", nil,
		func(ctx context.Context, m Manager, r *request) (result, error) {
			report, err := m.Doctor(ctx)
			return reported(report), err
		}},
}

// param finds a parameter of the verb or one that all verbs take.
func (v *Verb) param(name string) *Param {
	for _, params := range [][]Param{v.Params, common} {
		for i := range params {
			if params[i].Name == name {
				return &params[i]
			}
		}
	}
	return nil
}

// Takes reports whether the verb has the parameter.
func (v *Verb) Takes(name string) bool { return v.param(name) != nil }

// AllParams are the verb's own parameters and those that all verbs take.
func (v *Verb) AllParams() []Param {
	return append(v.Params[:len(v.Params):len(v.Params)], common...)
}

func (v *Verb) paramNames() (names []string) {
	for _, p := range v.AllParams() {
		names = append(names, p.Name)
	}
	return names
}

func verbNames() (names []string) {
	for _, v := range table {
		names = append(names, v.Name)
	}
	return names
}
