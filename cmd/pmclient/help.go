package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// extras are the commands that are no verbs.
var extras = []struct{ name, args, help, more string }{
	{"run", "FILE", "Carry out a script of actions; - is standard input.",
		"Nothing is carried out when the script has a fault. It stops at the first action that fails, and says its line."},
	{"shell", "", "A session with history and completion; !!help in it.",
		"Where standard input is no terminal, it is carried out as a script."},
	{"help", "[COMMAND]", "Show this, or the flags of a command.", ""},
}

// help prints the usage, or that of one command, from the verb table, as wide as the
// window.
func help(w *output, args []string) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(args) == 0 || args[0] == "help" {
		helpAll(t)
	} else if err := helpOne(t, args[0]); err != nil {
		return err
	}
	t.Flush()
	_, err := io.WriteString(w, screen.Fold(b.String(), screen.Columns(w.columns)))
	return err
}

func helpAll(t io.Writer) {
	fmt.Fprint(t, "usage: pmclient [flags] COMMAND [flags] [NAME…]\n\n")
	for _, v := range verbs.All() {
		fmt.Fprintf(t, "  %s\t%s\n", v.Short(), v.Help)
	}
	for _, e := range extras {
		fmt.Fprintf(t, "  %s %s\t%s\n", e.name, e.args, e.help)
	}
	fmt.Fprint(t, "\nflags:\n")
	new(connection).before().VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(t, "  -%s %s\t%s\n", f.Name, value, text)
	})
	fmt.Fprint(t, "\nexit codes: 0 done, 1 the action failed, 2 usage, 69 no daemon there, 77 not authenticated;\nof status: 0 running or about to, 3 at rest, 4 no such process; of several processes the worst\n")
}

func helpOne(t io.Writer, command string) error {
	for _, e := range extras {
		if e.name == command {
			fmt.Fprintf(t, "usage: %s\n\n%s\n%s\n", strings.TrimSpace("pmclient "+e.name+" "+e.args), e.help, e.more)
			return nil
		}
	}
	v, ok := verbs.Lookup(alias(command))
	if !ok {
		return noCommand(command)
	}
	fmt.Fprintf(t, "usage: pmclient %s [flags]", command)
	switch {
	case v.Needs("name"):
		fmt.Fprint(t, " NAME…")
	case v.Takes("name"):
		fmt.Fprint(t, " [NAME…]")
	}
	if v.Takes("command") {
		fmt.Fprint(t, " [-- PROGRAM ARGUMENT…]")
	}
	fmt.Fprintf(t, "\n\n%s\n\n", v.Help)
	for _, p := range commandParams(v) {
		name := "-" + p.Name
		if short := shortFlag(v, p); short != "" {
			name = "-" + short + ", " + name
		}
		fmt.Fprintf(t, "  %s %s\t%s\n", name, p.Value, p.Help)
	}
	return nil
}

// commandParams are the parameters of a verb that are flags of its command.
func commandParams(v *verbs.Verb) []verbs.Param {
	if v.Name == applyVerb {
		return append([]verbs.Param{{Name: fileFlag, Value: "PATH", Help: fileHelp}}, applyParams(v)...)
	}
	return v.AllParams()
}
