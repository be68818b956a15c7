package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// help prints the usage, or that of one command, from the table of commands, as wide as the
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
	for _, c := range commands.All() {
		if c.Verb == nil {
			c.Name = strings.TrimSpace(c.Name + " " + c.Args)
		}
		fmt.Fprintf(t, "  %s\t%s\n", c.Name, c.Help)
	}
	fmt.Fprint(t, "\nflags:\n")
	for _, p := range append(commands.Connection, commands.Version) {
		if p.Name == "socket" {
			p.Help += " (default " + client.DefaultSocket() + ")"
		}
		helpFlag(t, commands.Flag{Param: p})
	}
	fmt.Fprintf(t, "\nexit codes: %s;\nof status: %s; of several processes the worst;\nof wait and exec, and with -wait: that of the run, %s\n", exitCodes(""), exitCodes("status"), exitCodes("-wait"))
}

// exitCodes are those of a command, or of all, in a line.
func exitCodes(of string) string {
	var codes []string
	for _, e := range commands.Exits {
		if e.Of == of {
			codes = append(codes, fmt.Sprintf("%d %s", e.Code, e.Means))
		}
	}
	return strings.Join(codes, ", ")
}

func helpOne(t io.Writer, command string) error {
	c, ok := commands.Lookup(command)
	if !ok {
		return noCommand(command)
	}
	usage := "pmclient " + command + " "
	if c.Verb != nil {
		usage += "[flags] "
	}
	fmt.Fprintf(t, "usage: %s\n\n%s\n\n", strings.TrimSpace(usage+c.Args), strings.TrimSpace(c.Help+"\n"+c.More))
	for _, f := range c.Flags {
		helpFlag(t, f)
	}
	return nil
}

func helpFlag(t io.Writer, f commands.Flag) {
	name := "-" + f.Name
	if f.Short != "" {
		name = "-" + f.Short + ", " + name
	}
	fmt.Fprintf(t, "  %s %s\t%s\n", name, f.Value, f.Help)
}
