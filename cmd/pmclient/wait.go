package main

import (
	"errors"
	"flag"
	"fmt"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// joinWait has "-wait ready" be one word: package flag knows no flag whose value may be left
// away. A process that has such a name stands before it.
func joinWait(v *verbs.Verb, args []string) []string {
	if !v.Takes("wait") {
		return args
	}
	var joined []string
	for i := 0; i < len(args); i++ {
		if (args[i] == "-wait" || args[i] == "--wait") && i+1 < len(args) && (args[i+1] == "ready" || args[i+1] == "end") {
			joined = append(joined, args[i]+"="+args[i+1])
			i++
		} else {
			joined = append(joined, args[i])
		}
	}
	return joined
}

// standsForRun reports whether the exit code of a command is that of a run.
func standsForRun(a heroscript.Action) bool {
	p, given := a.Get("wait")
	return a.Verb() == commands.WaitVerb || a.Verb() == commands.ExecVerb || given && p.Value == string(process.WaitEnd)
}

// codeOf is the exit code of a command that stands for runs, the worst of several.
func codeOf(answer verbs.Answer, failed error) error {
	code := 0
	worse := func(err error, of int) {
		switch {
		case err == nil:
			code = max(code, of)
		case errors.Is(err, process.ErrTimeOver):
			code = max(code, process.ExitTimeOver)
		case errors.Is(err, process.ErrStart) && answer.Waited() != nil: // it did not become ready
			code = max(code, exitFailed)
		default:
			code = max(code, process.ExitOurFault)
		}
	}
	for _, o := range answer.Outcomes() {
		ended := o.Status.Ended()
		worse(o.Err, ended.Exit())
	}
	for _, w := range answer.Waited() {
		of := 0
		if w.Cause != 0 {
			of = w.Exit()
		}
		worse(w.Err, of)
	}
	if failed != nil && code == 0 {
		worse(failed, 0)
	}
	switch {
	case failed != nil:
		return fmt.Errorf("%w%w", coded(code), failed)
	case code != 0:
		return coded(code)
	}
	return nil
}

// ourFault is an error of a command that stands for a run, before there is one.
func ourFault(err error) error {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w%w", coded(process.ExitOurFault), err)
}
