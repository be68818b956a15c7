package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// values are what stands for the values of parameters, with their units.
var values = map[string]string{
	"CODES":            "exit codes with commas between them, 0 to 255",
	"COMMAND":          "a text for /bin/sh -c, which may span lines",
	"CPUS":             "numbers of CPUs and ranges of them, with commas between them",
	"DEVICE KEY=VALUE": "an absolute path, and behind it one or more of rbps and wbps (a SIZE a second), riops and wiops (operations a second), with blanks between them; one disk a line",
	"DIRECTORY":        "an absolute path",
	"FORMAT":           "json or text",
	"FROM":             "null, or file: and an absolute path",
	"CAUSE":            "why a run ended: " + strings.Join(process.Causes(), ", "),
	"GROUP":            "a group of the host, its name or number",
	"ID":               "1 to 128 letters, digits and . _ : -",
	"LINES":            "a number of lines, 1 or more",
	"NAME":             "1 to 128 letters, digits and . _ @ : -, the first a letter, a digit or _. Most verbs take several with commas between them, and patterns with * ? and [ ]",
	"NAME=VALUE":       "variables of the environment, one a line",
	"NAMES":            "names with commas between them",
	"NUMBER":           "a whole number, 1 or more unless something else is said",
	"NUMBER|TIME":      "the number of an event, 0 or more, or a moment as with since",
	"OCTAL":            "permissions, up to four octal digits",
	"OFFSET":           "a number of bytes from the beginning, 0 or more",
	"PATH":             "a path; in a definition an absolute one",
	"PROBE":            "a kind, a colon and what it needs, as said",
	"REGEXP":           "a regular expression in the syntax of Go (RE2)",
	"SCHEDULE":         "five fields (minute, hour, day of the month, month, day of the week), @hourly, @daily, @weekly, @monthly, @yearly, or @every and a TIME; before it CRON_TZ= and a zone, and a blank, if need be",
	"SHARE":            "percents of one core with %, or a number of cores; at least 1%",
	"SIGNAL":           "the name of a signal, with or without SIG, or its number",
	"SIZE":             "a number of bytes, or one with K, M, G or T (powers of 1024), such as 512K, 64M, 2GiB",
	"SOFT:HARD":        "two limits, one for both, or unlimited; what a limit is counted in is said with each",
	"TABLE":            "lines of a number, a blank and a path",
	"TEXT":             "actions of process.define",
	"TIME":             "a number of seconds, such as 30 or 1.5, or one with units, such as 500ms, 90s, 10m, 2h, 1d; at most 100 years. In since and until a moment: a length of time ago, or a local date with or without a time, or one with a zone",
	"USER":             "a user of the host, a name or a number",
	"WHAT":             "one of those that are named",
	"WHEN":             "one of those that are named",
	"ZONE":             "a zone of the time zone database, such as Europe/Brussels or UTC",
	"ready|end":        "one of the two",
}

// valueList explains each value that a verb takes. One that nobody explains is an error.
func valueList() (string, error) {
	seen := map[string]bool{}
	for _, v := range verbs.All() {
		for _, p := range v.AllParams() {
			if p.Value != "" {
				seen[p.Value] = true
			}
		}
	}
	var items []string
	for _, value := range slices.Sorted(maps.Keys(seen)) {
		text, ok := values[value]
		if !ok {
			return "", fmt.Errorf("the value %s of a parameter is explained nowhere: add it to values.go", value)
		}
		items = append(items, item("Ar "+argument(value), sentence(text)))
	}
	for value := range values {
		if !seen[value] {
			return "", fmt.Errorf("no parameter takes a %s: take it out of values.go", value)
		}
	}
	items = append(items, ".It yes or no\n"+prose("true, yes, y, 1, on; or false, no, n, 0, off. A key that stands alone is true."))
	return tagged(items...), nil
}

// facts is what the table of fields knows of a field besides its help: choices, what holds
// without it, in which unit, and when a change acts.
func facts(f *process.Field) string {
	var text []string
	if r := resource(f.Name); r != nil {
		text = append(text, "A limit is "+r.Takes())
	}
	text = append(text, choice(f.Help, f.Choices))
	switch {
	case f.Default == "1" && f.Value == "TIME":
		text = append(text, "Default: 1 second")
	case f.Default != "" && f.Value == "TIME":
		text = append(text, "Default: "+f.Default+" seconds")
	case f.Default != "":
		text = append(text, "Default: "+f.Default)
	case f.Must:
		text = append(text, "A definition needs it")
	case f.IsFlag():
		text = append(text, "Default: false")
	}
	if !f.Live {
		text = append(text, "A change takes a restart")
	}
	return joined(text...)
}

// choice is what a value can be, where the help does not say it.
func choice(help string, choices []string) string {
	told := !slices.ContainsFunc(choices, func(choice string) bool { return !strings.Contains(help, choice) })
	if told || len(choices) > 9 { // signals
		return ""
	}
	return "One of " + strings.Join(choices, ", ")
}

// resource is the limit that a field sets; nil: it sets none.
func resource(field string) *process.Resource {
	for i := range process.Resources {
		if "rlimit_"+process.Resources[i].Name == field {
			return &process.Resources[i]
		}
	}
	return nil
}
