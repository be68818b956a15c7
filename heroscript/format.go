package heroscript

import "strings"

// Format returns the canonical text of a script: an action on a line, a blank
// before each parameter, values as [Quote] writes them. Parse(Format(s)) is s
// again, but for positions, if s is one that [Parse] can return: actors, names
// and keys are words, keys are in lower case, the value of a flag is "true",
// values are UTF-8 without NUL.
func Format(s Script) string {
	var b strings.Builder
	for _, a := range s {
		b.WriteString("!!")
		b.WriteString(a.Verb())
		for _, p := range a.Params {
			b.WriteByte(' ')
			b.WriteString(p.Key)
			if !p.Flag {
				b.WriteByte(':')
				b.WriteString(Quote(p.Value))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// quoteEscaper writes what a single-quoted value holds.
var quoteEscaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// Quote returns a value as it must be written behind "key:": as it is where
// that is possible, else in single quotes.
func Quote(value string) string {
	if value != "" && !strings.ContainsAny(value, " \t\r\n'\"") {
		return value
	}
	return "'" + quoteEscaper.Replace(value) + "'"
}
