package main

import (
	"flag"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// cutWords takes a command as words off the arguments: what stands behind the first --
// that is no flag's value.
func cutWords(f *flag.FlagSet, args []string) (before, command []string, given bool) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return args[:i], args[i+1:], true
		}
		name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
		if known := f.Lookup(name); name != arg && known != nil {
			if flag, ok := known.Value.(interface{ IsBoolFlag() bool }); !ok || !flag.IsBoolFlag() {
				i++ // its value, whatever it is
			}
		}
	}
	return args, nil, false
}

// addCommand gives an action a command that was given as words.
func addCommand(a *heroscript.Action, verb string, words []string) error {
	if _, twice := a.Get("command"); twice {
		return usageOf(verb, "the command is given twice: as -command, and behind --")
	}
	if len(words) == 0 || words[0] == "" {
		return usageOf(verb, "a command is missing behind --: a program and its arguments")
	}
	for i, w := range words {
		if !utf8.ValidString(w) {
			return usageOf(verb, "word %d of the command, %s, is not UTF-8: put the command in a file and run that", i+1, process.Printable(w))
		}
	}
	a.Params = append(a.Params, heroscript.Param{Key: "command", Value: commandOf(words)})
	return nil
}

// commandOf is a command for the shell that executes a program with exactly these words.
// The program takes the shell's place, so that it is the main process.
func commandOf(words []string) string {
	var b strings.Builder
	b.WriteString("exec")
	if strings.HasPrefix(words[0], "-") {
		b.WriteString(" --") // it is no option of exec
	}
	for i, w := range words {
		b.WriteByte(' ')
		if isPlain(w) && !(i == 0 && strings.Contains(w, "=")) {
			b.WriteString(w)
		} else {
			b.WriteString("'" + strings.ReplaceAll(w, "'", `'\''`) + "'")
		}
	}
	return b.String()
}

// isPlain reports whether a word means itself to every shell without quotes.
func isPlain(word string) bool {
	for i := 0; i < len(word); i++ {
		c := word[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_@%+=:,./-", c) >= 0) {
			return false
		}
	}
	return word != ""
}

// amongNames is the error where a command stands among the names, as in "start web 'sleep 5'".
func amongNames(verb string, words []string) error {
	for i, word := range words {
		_, err := process.ParseSelection(word)
		switch {
		case err == nil:
		case i > 0:
			return usageOf(verb, "%s is not a name: a command stands behind --, as in pmclient %s %s -- %s",
				process.Printable(word), verb, words[0], asWords(words[1:]))
		case strings.Contains(word, " "):
			return usageOf(verb, "%s is not a name: the name comes first, and a command stands behind --, as in pmclient %s NAME -- %s",
				process.Printable(word), verb, asWords(words))
		}
	}
	return nil
}

// asFlags is what is wrong with an action that a command line has said otherwise than the wire
// would.
func asFlags(verb string, a heroscript.Action, words []string) error {
	name, _ := a.Get("name")
	_, command := a.Get("command")
	switch {
	case verb != "start" && verb != "define":
	case command && strings.ContainsAny(name.Value, ",*?["):
		return usageOf(verb, "%s with a command takes one name: %s is not one, but may be several", verb, process.Printable(name.Value))
	case verb == "start" && !command:
		for _, p := range a.Params {
			if process.FieldNamed(p.Key) != nil && p.Key != "name" {
				return usageOf(verb, "start without a command starts what is there as it is, without -%s: give the command, behind -- or as -command, or change what is there with pmclient set %s -%[1]s",
					p.Key, process.Printable(name.Value))
			}
		}
	}
	return nil
}

// lastWord takes the last word as the value of the parameter that it stands for, where that is
// not given as a flag.
func lastWord(c *commands.Command, a *heroscript.Action, words []string) (names []string, err error) {
	if _, given := a.Get(c.Last); given || c.Last == "" {
		return words, nil
	}
	takes := map[string]struct {
		is      func(string) bool
		example string
	}{
		"signal": {func(w string) bool { _, err := process.ParseSignal(w); return err == nil }, "HUP"},
		"size":   {func(w string) bool { _, err := process.ParseSize(w); return err == nil }, "100M"},
	}[c.Last]
	_, named := a.Get("name")
	for i, w := range slices.Backward(words) {
		if !takes.is(w) || len(words) < 2 && !named { // it is a name
			continue
		}
		others := slices.Delete(slices.Clone(words), i, i+1)
		if i < len(words)-1 {
			return nil, usageOf(c.Name, "the %s stands last, as in pmclient %s %s %s", c.Last, c.Name, strings.Join(others, " "), w)
		}
		a.Params = append(a.Params, heroscript.Param{Key: c.Last, Value: w})
		return others, nil
	}
	return nil, usageOf(c.Name, "%s needs a %s, as in pmclient %s %s %s", c.Name, c.Last, c.Name, strings.Join(words, " "), takes.example)
}

// asWords is what has to stand behind -- for the command that somebody gave, in quotes or not.
// What only a shell understands is given to one.
func asWords(given []string) string {
	text := strings.Join(given, " ")
	words := strings.Fields(text)
	for _, w := range words {
		if !isPlain(w) {
			words = []string{"sh", "-c", text}
			break
		}
	}
	return screen.Cut(strings.TrimPrefix(commandOf(words), "exec "), 128)
}
