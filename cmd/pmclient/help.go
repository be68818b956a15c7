package main

import (
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
)

// help prints the usage, or that of one command, from the verb table.
func help(w io.Writer, args []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(args) > 0 && args[0] != "run" && args[0] != "shell" {
		v, ok := verbs.Lookup(alias(args[0]))
		if !ok {
			return noCommand(args[0])
		}
		fmt.Fprintf(t, "usage: pmclient %s [flags]", args[0])
		if v.Takes("name") {
			fmt.Fprint(t, " NAME")
		}
		fmt.Fprintf(t, "\n\n%s\n\n", v.Help)
		for _, p := range v.AllParams() {
			fmt.Fprintf(t, "  -%s %s\t%s\n", p.Name, p.Value, p.Help)
		}
		return t.Flush()
	}
	fmt.Fprint(t, "usage: pmclient [flags] COMMAND [flags] [NAME]\n\n")
	for _, v := range verbs.All() {
		fmt.Fprintf(t, "  %s\t%s\n", v.Short(), v.Help)
	}
	fmt.Fprint(t, "  run FILE\tCarry out a script of actions; - is standard input.\n")
	fmt.Fprint(t, "  shell\tA session with history and completion; !!help in it.\n")
	fmt.Fprint(t, "  help [COMMAND]\tShow this, or the flags of a command.\n\nflags:\n")
	f := quietFlags("pmclient")
	new(connection).register(f)
	f.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(t, "  -%s %s\t%s\n", f.Name, value, text)
	})
	fmt.Fprint(t, "\nexit codes: 0 done, 1 the action failed, 2 usage, 3 no daemon there, 4 not authenticated\n")
	return t.Flush()
}
