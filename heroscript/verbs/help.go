package verbs

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// helpWanted reports whether script is !!help, and of which verb.
func helpWanted(script string) (verb string, ok bool) {
	words := strings.Fields(script)
	if len(words) == 0 || words[0] != "!!help" {
		return "", false
	}
	return strings.Join(words[1:], " "), true
}

func help(verb string) Answer {
	if verb == "" {
		return Answer{body: overview{}}
	}
	v, ok := Lookup(strings.TrimPrefix(verb, "!!"))
	if !ok {
		return Answer{Err: process.Errorf(process.CodeInvalid, "no verb %s%s", process.Printable(verb), didYouMeanVerb(verb))}
	}
	return Answer{body: explanation{v}}
}

type overview struct{}

func (overview) json() any { return nil }

func (overview) text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range table {
		fmt.Fprintf(t, "!!%s\t%s\n", v.Name, v.Help)
	}
	fmt.Fprintf(t, "!!help [VERB]\tShow this, or one verb with its parameters.\n")
	fmt.Fprintf(t, "!!interactive\tTurn colours on or off, where the terminal can show them.\n")
	fmt.Fprintf(t, "!!quit, !!exit\tEnd the session.\n")
	return t.Flush()
}

type explanation struct{ v *Verb }

func (explanation) json() any { return nil }

func (e explanation) text(w io.Writer) error {
	fmt.Fprintf(w, "%s\n\n  !!%s", e.v.Help, e.v.Name)
	for _, p := range e.v.Params {
		usage := p.Name + ":" + p.Value
		if p.IsFlag() {
			usage = p.Name + ":true"
		}
		if !p.Required {
			usage = "[" + usage + "]"
		}
		fmt.Fprintf(w, " %s", usage)
	}
	fmt.Fprint(w, "\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range e.v.AllParams() {
		fmt.Fprintf(t, "  %s\t%s\n", p.Name, p.Help)
	}
	return t.Flush()
}
