package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// completeCommand is how the completion of a shell asks what the last of the words behind it
// could become. It is no command for people, and not in the help.
//
// The answer is a line for each candidate: the word, a tab, what it is. A line that begins
// with a colon is none: it says what the shell knows better.
const completeCommand = "complete"

// What the shell completes by itself.
const (
	shellFiles       = ":files"
	shellDirectories = ":directories"
	shellPrograms    = ":programs"
	shellUsers       = ":users"
	shellGroups      = ":groups"
)

// shellKnows is what the shell completes for the values of this kind.
var shellKnows = map[string]string{
	"PATH": shellFiles, "FILE": shellFiles, "DIRECTORY": shellDirectories, "USER": shellUsers, "GROUP": shellGroups,
}

// namesTime is how long the daemon may take to give the names: somebody waits at the keys.
const namesTime = 700 * time.Millisecond

// candidate is what a word could become.
type candidate struct{ word, help string }

// complete writes what the last word could become. What goes wrong gives no candidates: an
// error would be written into the line that somebody is typing.
func complete(ctx context.Context, words []string, stdout io.Writer) error {
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	last := len(words) - 1
	out := bufio.NewWriter(stdout)
	for _, c := range readTyped(words[:last]).candidates(ctx, words[last]) {
		if c.help != "" {
			c.word += "\t" + c.help
		}
		fmt.Fprintln(out, c.word)
	}
	return out.Flush()
}

// typed is a command line up to the word that is completed.
type typed struct {
	conn    connection
	command string        // empty: it comes yet
	flags   []verbs.Param // that can stand here
	given   []string      // names of those that were
	value   *verbs.Param  // the word is the value of this flag
	perhaps *verbs.Param  // the word may be the value of this flag
	bare    []string      // words behind the command that are no flags
	program bool          // behind --, where a program stands with its arguments
}

func readTyped(words []string) *typed {
	t := &typed{flags: flagsOf("")}
	set := t.conn.before()
	for _, w := range words {
		t.perhaps = nil
		switch {
		case t.value != nil:
			set.Set(t.value.Name, w) // of a flag of the command: it is not known there
			t.value = nil
		case t.program:
			t.bare = append(t.bare, w)
		case w == "--" && t.takes("command"):
			t.program, t.bare = true, nil
		case isFlag(w):
			t.flag(w, set)
		case t.command == "":
			t.command, t.flags = w, flagsOf(w)
		default:
			t.bare = append(t.bare, w)
		}
	}
	return t
}

// flag reads a flag, whose value may be the next word.
func (t *typed) flag(word string, set *flag.FlagSet) {
	name, value, has := strings.Cut(flagName(word), "=")
	for i := range t.flags {
		p := &t.flags[i]
		if p.Name != name {
			continue
		}
		t.given = append(t.given, name)
		switch {
		case has:
			set.Set(name, value)
		case p.Alone != "":
			t.perhaps = p
		case !p.IsFlag():
			t.value = p
		}
		return
	}
}

func isFlag(word string) bool { return len(word) > 1 && word[0] == '-' && word != "--" }

// flagName is a flag without its dashes, one or two.
func flagName(word string) string { return strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-") }

// flagsOf are the flags that a command takes, or those before the command, in all their forms.
func flagsOf(command string) (flags []verbs.Param) {
	if command == "" {
		flags = append(flags, commands.Version)
	}
	if c, ok := commands.Lookup(command); ok {
		for _, f := range c.Flags {
			flags = append(flags, f.Param)
			if f.Short != "" {
				f.Param.Name = f.Short
				flags = append(flags, f.Param)
			}
		}
	}
	return append(flags, commands.Connection...)
}

// candidates are what the word could become.
func (t *typed) candidates(ctx context.Context, word string) (all []candidate) {
	names := func() map[string]string { return t.processes(ctx) }
	switch {
	case t.value != nil:
		return valuesOf(t.value, "", word, names)
	case t.program && len(t.bare) == 0:
		return []candidate{{word: shellPrograms}}
	case t.program:
		return []candidate{{word: shellFiles}}
	case strings.HasPrefix(word, "-"):
		if name, value, has := strings.Cut(flagName(word), "="); has {
			for i := range t.flags {
				if p := &t.flags[i]; p.Name == name {
					return valuesOf(p, strings.TrimSuffix(word, value), value, names)
				}
			}
			return nil
		}
		return t.flagsLike(word)
	}
	if t.perhaps != nil {
		all = valuesOf(t.perhaps, "", word, names)
	}
	all = append(all, t.words(word, names)...)
	if t.takes("format") && len(all) == 0 && word == "" { // it is a verb
		return t.flagsLike(word)
	}
	return all
}

// flagsLike are the flags that the word could become, with as many dashes as it has.
func (t *typed) flagsLike(word string) (all []candidate) {
	dashes := "-"
	if strings.HasPrefix(word, "--") {
		dashes = "--"
	}
	for _, p := range t.flags {
		if !p.Lines && slices.Contains(t.given, p.Name) {
			continue
		}
		all = append(all, candidate{dashes + p.Name, p.Help})
	}
	return fitting(all, word)
}

// words are what a word could become that is no flag.
func (t *typed) words(word string, names func() map[string]string) []candidate {
	switch {
	case t.command == "", t.command == "help" && len(t.bare) == 0:
		return fitting(allCommands(), word)
	case t.command == "run" && len(t.bare) == 0:
		return []candidate{{word: shellFiles}}
	}
	for i := range t.flags {
		if p := &t.flags[i]; p.Name == "name" {
			return append(t.lastWords(word), slices.DeleteFunc(valuesOf(p, "", word, names), func(c candidate) bool { return slices.Contains(t.bare, c.word) })...)
		}
	}
	return nil
}

// lastWords are the values of the parameter that the last word may stand for, behind a name.
func (t *typed) lastWords(word string) []candidate {
	c, ok := commands.Lookup(t.command)
	if !ok || c.Last == "" || len(t.bare) == 0 || slices.Contains(t.given, c.Last) {
		return nil
	}
	for i := range t.flags {
		if p := &t.flags[i]; p.Name == c.Last && len(p.Choices) > 0 {
			return valuesOf(p, "", word, nil)
		}
	}
	return nil
}

// takes reports whether the command has a flag.
func (t *typed) takes(flag string) bool {
	return slices.ContainsFunc(t.flags, func(p verbs.Param) bool { return p.Name == flag })
}

func allCommands() (all []candidate) {
	for _, c := range commands.All() {
		all = append(all, candidate{c.Name, c.Help})
	}
	return all
}

// valuesOf are the values that a parameter can have, each behind before.
func valuesOf(p *verbs.Param, before, value string, names func() map[string]string) (all []candidate) {
	if shell := shellKnows[p.Value]; shell != "" {
		return []candidate{{word: shell}}
	}
	var states map[string]string
	known := p.Known(value, func() (list []string) {
		states = names()
		for name := range states {
			list = append(list, name)
		}
		slices.Sort(list)
		return list
	})
	for _, word := range known {
		all = append(all, candidate{before + word, states[word[strings.LastIndexByte(word, ',')+1:]]})
	}
	return fitting(all, before+value)
}

func fitting(all []candidate, word string) []candidate {
	return slices.DeleteFunc(all, func(c candidate) bool { return !strings.HasPrefix(c.word, word) })
}

// processes are the states of the daemon's processes by their names; none, if it cannot be
// asked or takes too long.
func (t *typed) processes(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, namesTime)
	defer cancel()
	told := make(chan map[string]string, 1)
	go func() { told <- states(ctx, t.conn) }() // a read of the secret has no other end
	select {
	case all := <-told:
		return all
	case <-ctx.Done():
		return nil
	}
}

func states(ctx context.Context, conn connection) map[string]string {
	c, err := conn.dial(ctx)
	if err != nil {
		return nil
	}
	defer c.Close()
	list, err := c.List(ctx)
	if err != nil {
		return nil
	}
	all := map[string]string{}
	for _, s := range list {
		if process.ValidateName(s.Name) == nil { // a shell reads them
			all[s.Name] = s.State.String()
		}
	}
	return all
}
