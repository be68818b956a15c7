package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// maxFile is how many bytes a configuration file may have.
const maxFile = 64 << 10

// readFile is what a configuration file says. One that is not there says nothing, unless
// it must be there.
func readFile(path string, must bool) (map[string]given, Mistakes) {
	data, err := private.ReadTrusted(path, maxFile)
	switch {
	case (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) && !must:
		return nil, nil
	case err != nil:
		return nil, Mistakes{"the configuration file cannot be used: " + err.Error()}
	}
	return parseFile(path, string(data))
}

// parseFile reads the text of a configuration file. What is right in it is returned beside
// the mistakes.
func parseFile(path, text string) (values map[string]given, wrong Mistakes) {
	values = map[string]given{}
	text = strings.TrimPrefix(text, "\ufeff") // an editor's byte order mark
	if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		return nil, Mistakes{path + " is no text: UTF-8 without NUL is expected"}
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		at := Origin{File: path, Line: number}
		name, value, err := parseLine(line)
		if err == nil && name == "" {
			continue
		}
		f := lookup(name)
		if err == nil {
			err = checkName(f, name)
		}
		before, twice := values[name]
		if err == nil && twice && !f.Repeats {
			err = fmt.Errorf("%s stands in line %d already: leave one of them out", name, before.From.Line)
		}
		if err == nil {
			value = f.added(before.Text, value)
			err = f.check(value, true)
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%v: %v", at, err))
			continue
		}
		values[name] = given{value, at}
	}
	return values, wrong
}

// parseLine reads a line of a configuration file. The name is empty where there is nothing
// in it.
func parseLine(line string) (name, value string, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	name, value, ok := strings.Cut(line, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !ok || name == "" {
		return "", "", fmt.Errorf("%s: NAME = VALUE is expected", shown(line))
	}
	if quote := value[:min(1, len(value))]; quote == `"` || quote == "'" {
		inside, behind, closed := strings.Cut(value[1:], quote)
		behind = strings.TrimSpace(behind)
		switch {
		case !closed:
			return "", "", fmt.Errorf("%s: the quote %s is not closed", shown(name), quote)
		case behind != "" && behind[0] != '#':
			return "", "", fmt.Errorf("%s: nothing but a # and a comment is expected behind the quoted value", shown(name))
		}
		value = inside
	} else {
		value = cutComment(value)
	}
	if value == "" {
		return "", "", fmt.Errorf("%s has no value: leave the line out for the default", shown(name))
	}
	return name, value, nil
}

// shown is what a message says of a line, or of a name: nothing that may be the secret.
func shown(text string) string {
	const secret = "secret"
	if lookup(text) == nil && len(text) > len(secret) && strings.EqualFold(text[:len(secret)], secret) {
		return process.Printable(text[:len(secret)]) + "…"
	}
	return process.Printable(text)
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

// cutComment takes off a comment: a # in front or with a blank before it, and what follows.
func cutComment(value string) string {
	for i := range value {
		if value[i] == '#' && (i == 0 || isBlank(rune(value[i-1]))) {
			return strings.TrimSpace(value[:i])
		}
	}
	return value
}

// checkName makes sure that a name is that of a flag which may stand in the file.
func checkName(f *Flag, name string) error {
	switch {
	case f == nil:
		var known []string
		for i := range Flags {
			if Flags[i].Where == Anywhere {
				known = append(known, Flags[i].Name)
			}
		}
		return fmt.Errorf("there is no setting %s%s", shown(name), verbs.DidYouMean(name, known))
	case f.secret:
		return fmt.Errorf("%s does not belong into a file that others may read: put it into one of its own, and say secret-file = FILE", name)
	case f.Where != Anywhere:
		return fmt.Errorf("%s cannot stand in the file: give it on the command line", name)
	}
	return nil
}

// added is the value of a flag that was given before.
func (f *Flag) added(before, value string) string {
	if f.Repeats && before != "" {
		return before + " " + value
	}
	return value
}

// check makes sure that a value can be.
func (f *Flag) check(value string, inFile bool) error {
	err := f.set(new(Options), value)
	if err == nil && inFile && f.inFile != nil {
		err = f.inFile(value)
	}
	if err != nil && f.secret {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	if err != nil {
		return fmt.Errorf("%s = %s: %w", f.Name, process.Printable(value), err)
	}
	return nil
}
