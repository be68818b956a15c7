package verbs

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// helpWanted reports whether script is !!help, and of which verb.
func helpWanted(script string) (verb string, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(script), "!!help")
	if ok = ok && (rest == "" || unicode.IsSpace(rune(rest[0]))); !ok {
		return "", false
	}
	if len(rest) > maxError { // no verb: its beginning is enough to say so
		return cut(strings.TrimSpace(rest), maxMeant), true
	}
	return strings.Join(strings.Fields(rest), " "), true
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

func (overview) write(w io.Writer, _ style) error {
	var g grid
	for _, v := range table {
		g.add("!!"+v.Name, v.Help)
	}
	g.add("!!"+viewWord, "All processes on the whole screen, each second, to look at and to act on.")
	g.add("!!help [VERB]", "Show this, or one verb with its parameters.")
	g.add("!!interactive", "Turn colours on or off, where the terminal can show them.")
	g.add("!!quit, !!exit", "End the session.")
	return g.write(w)
}

type explanation struct{ v *Verb }

func (e explanation) write(w io.Writer, _ style) error {
	fmt.Fprintf(w, "%s\n\n  !!%s", e.v.Help, e.v.Name)
	for _, p := range e.v.Params() {
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
	var g grid
	for _, p := range e.v.AllParams() {
		g.add("  "+p.Name, p.Help)
	}
	return g.write(w)
}
