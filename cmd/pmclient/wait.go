package main

import (
	"fmt"

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

// waitsForEnd reports whether an action is answered when a run has ended.
func waitsForEnd(a heroscript.Action) bool {
	p, given := a.Get("wait")
	return given && p.Value == string(process.WaitEnd)
}

// runCode is the exit code for runs that have ended, the worst of several.
func runCode(list []process.Outcome, failed error) error {
	code := 0
	for _, o := range list {
		if o.Err != nil {
			code = max(code, process.ExitOurFault)
		} else {
			ended := o.Status.Ended()
			code = max(code, ended.Code())
		}
	}
	switch {
	case failed != nil:
		return fmt.Errorf("%w%w", coded(max(code, process.ExitOurFault)), failed)
	case code != 0:
		return coded(code)
	}
	return nil
}
