package verbs

import (
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
)

// Complete returns what the word could become that ends at byte pos of line:
// verbs, then parameters, then their values. names gives those of the processes. A verb
// is found without its "!!process." too.
func Complete(line string, pos int, names func() []string) []string {
	words := strings.Fields(line[:pos])
	if len(words) == 0 || line[pos-1] == ' ' {
		words = append(words, "")
	}
	word := words[len(words)-1]
	var all []string
	switch verb, ok := Lookup(strings.TrimPrefix(words[0], "!!")); {
	case len(words) == 1:
		return verbsLike(word)
	case words[0] == "!!help" && len(words) == 2:
		all = verbNames()
	case !ok:
		return nil
	case strings.Contains(word, ":"):
		key, value, _ := strings.Cut(word, ":")
		all = verb.completeValue(key, value, names)
	default:
		all = verb.completeParam(words[1 : len(words)-1])
	}
	var fitting []string
	for _, candidate := range all {
		if strings.HasPrefix(candidate, word) {
			fitting = append(fitting, candidate)
		}
	}
	sort.Strings(fitting)
	return fitting
}

// verbsLike is the verbs, as they are typed, that word could become.
func verbsLike(word string) (fitting []string) {
	for _, name := range append(verbNames(), viewWord, "help", "interactive", "quit", "exit") {
		short := name[strings.IndexByte(name, '.')+1:]
		if strings.HasPrefix("!!"+name, word) || strings.HasPrefix(name, word) || strings.HasPrefix(short, word) {
			fitting = append(fitting, "!!"+name+" ")
		}
	}
	sort.Strings(fitting)
	return fitting
}

// completeParam is the parameters that are not given yet.
func (v *Verb) completeParam(given []string) (all []string) {
	seen := map[string]bool{}
	for _, word := range given {
		key, _, _ := strings.Cut(word, ":")
		seen[strings.ToLower(key)] = true
	}
	for _, p := range v.AllParams() {
		if !seen[p.Name] {
			all = append(all, p.Name+":")
		}
	}
	return all
}

func (v *Verb) completeValue(key, value string, names func() []string) (all []string) {
	p := v.form(time.Time{}).param(strings.ToLower(key))
	if p == nil {
		return nil
	}
	for _, known := range p.Known(value, names) {
		all = append(all, key+":"+heroscript.Quote(known)+" ")
	}
	return all
}

// Known are the values that a parameter can have, where they can be listed. names gives
// those of the processes; of several, the last becomes what value has of it.
func (p *Param) Known(value string, names func() []string) (all []string) {
	switch {
	case p.IsFlag():
		return []string{"true", "false"}
	case p.Name != "name" && p.Value != "NAMES":
		return p.Choices
	}
	before := value[:strings.LastIndexByte(value, ',')+1]
	for _, name := range names() {
		if !slices.Contains(strings.Split(before, ","), name) {
			all = append(all, before+name)
		}
	}
	return all
}
