package config

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// Write shows which values hold and where each comes from. A secret is not shown.
func (c *Config) Write(w io.Writer) error {
	filled := c.Options
	if err := filled.Fill(); err != nil {
		return err
	}
	rows := [][3]string{{"SETTING", "VALUE", "FROM"}}
	for i := range Flags {
		f := &Flags[i]
		if f.Where != OnCommandLine {
			value, from := c.shown(f, &filled)
			rows = append(rows, [3]string{f.Name, screen.Line(value), screen.Line(from)})
		}
	}
	var width [2]int
	for _, row := range rows {
		for i := range width {
			width[i] = max(width[i], screen.Cells(row[i]))
		}
	}
	for _, row := range rows {
		if _, err := fmt.Fprintf(w, "%s  %s  %s\n", screen.Pad(row[0], width[0]), screen.Pad(row[1], width[1]), row[2]); err != nil {
			return err
		}
	}
	return nil
}

// shown is a flag's value and where it comes from, for people. filled has the places that
// follow from what was given.
func (c *Config) shown(f *Flag, filled *Options) (value, from string) {
	from = c.Origin(f.Name).String()
	switch f.Name {
	case "socket":
		value = filled.Socket
	case "state":
		value = filled.State
	case "runtime":
		value = filled.Runtime
	case "definitions":
		value = filled.Definitions
	case "config":
		if value = c.File; !isThere(value) {
			value += " (not there)"
		}
	case "socket-mode":
		mode, _ := c.Access()
		value = fmt.Sprintf("%04o", mode)
	case "secret":
		_, given := c.given[f.Name]
		_, inFile := c.given["secret-file"]
		switch {
		case given:
			value = "not shown"
		case inFile:
			value = "the first line of secret-file"
		case os.Getenv(client.CredentialsEnv) != "":
			value, from = "not shown", "environment "+client.CredentialsEnv
		default:
			value = "made by the daemon"
		}
	default:
		if value = c.given[f.Name].Text; value == "" {
			value = f.Default
		}
	}
	return value, from
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Sample is a configuration file that says nothing: each setting stands there as a comment.
func Sample() string {
	var b strings.Builder
	b.WriteString(`# Settings of the daemon: those of its flags, one NAME = VALUE a line.
#
# A flag of the command line counts more than a variable of the environment, such as
# PROCESSMANAGER_SOCKET_GROUP, and that more than this file. What holds, and where it comes
# from: processmanager -check. What stands here as a comment says nothing.
`)
	for i := range Flags {
		f := &Flags[i]
		if f.Where != Anywhere {
			continue
		}
		_, help := f.Value()
		b.WriteString("\n")
		for line := range strings.Lines(screen.Fold(help, 88)) {
			b.WriteString("# " + strings.TrimSuffix(line, "\n") + "\n")
		}
		for line := range strings.Lines(screen.Fold("Default: "+f.Default, 88)) {
			b.WriteString("# " + strings.TrimSuffix(line, "\n") + "\n")
		}
		fmt.Fprintf(&b, "#%s = %s\n", f.Name, f.Example)
	}
	return b.String()
}

// Table is all settings, as a table in Markdown.
func Table() string {
	var b strings.Builder
	b.WriteString("| flag | default | in the environment | in the file | meaning | a change takes |\n| --- | --- | --- | --- | --- | --- |\n")
	for i := range Flags {
		f := &Flags[i]
		value, help := f.Value()
		env, file, takes := "", "", ""
		if name := f.Env(); name != "" {
			env = "`" + name + "`"
		}
		if f.Where == Anywhere {
			file = "`" + f.Name + "`"
			takes = "a restart"
			if f.Follows {
				takes = "a reload"
			}
		}
		if f.More != "" {
			help += ". " + f.More
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", strings.TrimSpace("-"+f.Name+" "+value), f.Default, env, file, help, takes)
	}
	return b.String()
}
