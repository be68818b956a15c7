// Package commands is what pmclient takes: one table of its commands with their flags, and
// its exit codes. The help, the completion of shells and the man page are made from it.
//
// A command stands for a verb of the daemon, and its flags are that verb's parameters; a few
// are no verbs. [Connection] are the flags of them all.
package commands

import (
	"cmp"
	"slices"
	"strings"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Command is what stands behind pmclient and its flags.
type Command struct {
	Name  string
	Args  string // what it takes besides flags: "NAME…"
	Help  string // one line
	More  string // what else there is to know
	Verb  *verbs.Verb
	Flags []Flag // its own
	Last  string // the parameter that the last word stands for where its flag is not given; empty: none
}

// Flag is a flag of a command: a parameter of its verb, as the command line has it.
type Flag struct {
	verbs.Param
	Short string // another name of one letter; empty: it has none
	Of    string // the parameter, where that has another name; empty: it has the same
}

// Key is the name of the parameter.
func (f *Flag) Key() string { return cmp.Or(f.Of, f.Name) }

// Connection are the flags that every command takes, and that may stand before it too.
var Connection = []verbs.Param{
	{Name: "secret", Value: "SECRET", Help: "the daemon's secret; others can see it for a moment: prefer -secret-file"},
	{Name: "secret-file", Value: "FILE", Help: "file whose first line is the secret"},
	{Name: "socket", Value: "PATH", Help: "the daemon's socket"},
}

// Version is the flag that takes the place of a command.
var Version = verbs.Param{Name: "version", Help: "say which build this is, and on what it runs, and end"}

// Verbs whose flags are not all their parameters.
const (
	ApplyVerb = "process.apply"
	ExecVerb  = "process.exec"
	LogVerb   = "process.log"
	WaitVerb  = "process.wait"
	runsVerb  = "process.runs"
)

// File is the flag of apply in whose place the wire has the text itself.
var File = Flag{Param: verbs.Param{Name: "f", Value: "PATH", Help: "a file of definitions, a folder of *.hero files, or - for standard input; without it, the daemon's own folder"}}

// last are the parameters that the last word stands for, by their verbs.
var last = map[string]string{"process.signal": "signal", "process.reclaim": "size"}

// short are the flags that have a short form, by their verbs.
var short = map[string]map[string]string{
	LogVerb:          {"follow": "f", "limit": "n", "times": "t"},
	runsVerb:         {"limit": "n", "verbose": "v"},
	"process.events": {"follow": "f", "limit": "n"},
	"process.ledger": {"limit": "n"},
	"process.next":   {"limit": "n"},
}

// extras are the commands that are no verbs.
var extras = []Command{
	{Name: "run", Args: "FILE", Help: "Carry out a script of actions; - is standard input.",
		More: "Nothing is carried out when the script has a fault. It stops at the first action that fails, and says its line."},
	{Name: "top", Help: "All processes on the whole screen, each second, to look at and to act on.",
		More: "It needs a terminal; ? shows its keys. A daemon that goes away is waited for, for 10 s."},
	{Name: "shell", Help: "A session with history and completion; !!help in it.",
		More: "Where standard input is no terminal, it is carried out as a script."},
	{Name: "help", Args: "[COMMAND]", Help: "Show this, or the flags of a command."},
}

// All is the table.
func All() (all []Command) {
	table := verbs.All()
	for i := range table {
		all = append(all, ofVerb(&table[i]))
	}
	return append(all, extras...)
}

// Lookup finds a command by its name, its other name, or the full name of its verb.
func Lookup(name string) (*Command, bool) {
	for i := range extras {
		if extras[i].Name == name {
			return &extras[i], true
		}
	}
	if v, ok := verbs.Lookup(Verb(name)); ok {
		return new(ofVerb(v)), true
	}
	return nil, false
}

// Verb is the name of the verb that a command stands for, with or without hyphens.
func Verb(command string) string {
	if command == "logs" {
		return "log"
	}
	return strings.ReplaceAll(command, "-", "_")
}

func ofVerb(v *verbs.Verb) Command {
	c := Command{Name: v.Short(), Help: v.Help, Verb: v, Last: last[v.Name]}
	var args []string
	switch {
	case v.Needs("name"):
		args = append(args, "NAME…")
	case v.Takes("name"):
		args = append(args, "[NAME…]")
	}
	switch {
	case v.Name == ExecVerb:
		args = []string{"[NAME] -- PROGRAM ARGUMENT…"}
		c.More = "Standard output and standard error of the program are one, and come to standard output. " +
			"The first Ctrl-C (or SIGTERM, SIGHUP) stops all its processes, the second one kills them. They are stopped too when pmclient dies."
	case v.Takes("command"):
		args = append(args, "[-- PROGRAM ARGUMENT…]")
	}
	if c.Last != "" {
		args = append(args, strings.ToUpper(c.Last))
	}
	c.Args = strings.Join(args, " ")
	if v.Name == ApplyVerb {
		c.Flags = []Flag{File}
	}
	for _, p := range v.AllParams() {
		f := Flag{Param: p, Short: short[v.Name][p.Name]}
		switch v.Name {
		case ApplyVerb:
			if slices.Contains([]string{"definitions", "files", "path"}, p.Name) {
				continue
			}
			f.Name = strings.ReplaceAll(p.Name, "_", "-")
		case ExecVerb:
			if p.Name == "run" || p.Name == "from" { // for who has lost a connection
				continue
			}
		case LogVerb:
			c.More = "log and logs are the same."
		case runsVerb: // the id of the request itself is of no use here
			if p.Name == "jobid" {
				continue
			} else if p.Name == "job" {
				f.Name, f.Of = "jobid", "job"
			}
		}
		c.Flags = append(c.Flags, f)
	}
	return c
}

// Exit is an exit code.
type Exit struct {
	Code  int
	Of    string // whose code it is: a command, or "-wait" of those that wait for a run's end; empty: of all
	Means string
}

// Exits are all there are.
var Exits = []Exit{
	{0, "", "done"},
	{1, "", "the action failed"},
	{2, "", "usage"},
	{69, "", "no daemon there"},
	{77, "", "not authenticated"},
	{0, "status", "running or about to"},
	{3, "status", "at rest"},
	{4, "status", "no such process"},
	{process.ExitTimeOver, "-wait", "its deadline passed, or -timeout"},
	{process.ExitOurFault, "-wait", "a fault that is not the run's, no daemon included"},
	{process.ExitSignal, "-wait", "plus the number of the signal that ended it"},
}
