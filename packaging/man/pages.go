package main

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/config"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

//go:embed pages
var templates embed.FS

// pages are the man pages by their paths.
func pages(day time.Time) (map[string]string, error) {
	all, err := template.New("").Funcs(template.FuncMap{
		"date":             func() string { return day.UTC().Format("January 2, 2006") },
		"daemonFlags":      daemonFlags,
		"daemonUsage":      daemonUsage,
		"daemonEnv":        daemonEnv,
		"commands":         commandList,
		"connection":       connectionList,
		"connectionUsage":  connectionUsage,
		"exits":            exitList,
		"language":         language,
		"actions":          actionList,
		"fields":           fieldList,
		"values":           valueList,
		"runVariables":     runVariables,
		"failureVariables": failureVariables,
	}).ParseFS(templates, "pages/*")
	if err != nil {
		return nil, err
	}
	made := map[string]string{}
	for _, page := range all.Templates() {
		if page.Name() == "" {
			continue
		}
		var b strings.Builder
		if err := page.Execute(&b, nil); err != nil {
			return nil, err
		}
		made["man/"+page.Name()] = b.String()
	}
	return made, nil
}

// flagTag is a flag with its value, as the tag of an item. Its short form comes first.
func flagTag(short, name, value string) string {
	tag := "Fl " + argument(name)
	if short != "" {
		tag = "Fl " + argument(short) + " , " + tag
	}
	if value != "" {
		tag += " Ar " + argument(value)
	}
	return tag
}

// daemonUsage is the synopsis of the daemon.
func daemonUsage() string {
	var b strings.Builder
	for i := range config.Flags {
		f := &config.Flags[i]
		value, _ := f.Value()
		b.WriteString(".Op " + flagTag("", f.Name, value) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// daemonFlags are the daemon's flags, with what holds without them and when a change acts.
func daemonFlags() string {
	var items []string
	for i := range config.Flags {
		f := &config.Flags[i]
		value, help := f.Value()
		text := []string{help, f.More}
		if value != "" {
			text = append(text, "Default: "+f.Default)
		}
		switch {
		case f.Where == config.Anywhere && f.Follows:
			text = append(text, "A change in the configuration file takes a reload")
		case f.Where == config.Anywhere:
			text = append(text, "A change takes a restart")
		case f.Where == config.NotInFile:
			text = append(text, "It cannot stand in the configuration file")
		}
		items = append(items, item(flagTag("", f.Name, value), joined(text...)))
	}
	return tagged(items...)
}

// daemonEnv are the variables that give the daemon's flags values.
func daemonEnv() string {
	var items []string
	for i := range config.Flags {
		if f := &config.Flags[i]; f.Env() != "" {
			items = append(items, ".It Ev "+f.Env()+"\nThe value of\n.Fl "+f.Name+" .\n")
		}
	}
	return strings.TrimSuffix(strings.Join(items, ""), "\n")
}

// commandList is the client's commands with their flags. The fields of a definition stand in
// a list of their own.
func commandList() string {
	var items []string
	for _, c := range commands.All() {
		text := prose(joined(c.Help, c.More))
		var flags []string
		fields := false
		for _, f := range c.Flags {
			switch {
			case isCommon(f.Name):
				continue
			case process.FieldNamed(f.Name) != nil && c.Verb.Takes("command"):
				fields = true
				continue
			}
			flags = append(flags, item(flagTag(f.Short, f.Name, f.Value), joined(f.Help, choice(f.Help, f.Choices))))
		}
		if fields {
			text += ".Pp\nIts flags are the fields of a definition, see\n.Sx FIELDS OF A DEFINITION ,\nand:\n"
		}
		if len(flags) > 0 {
			text += tagged(flags...)
		}
		tag := ".It Cm " + argument(c.Name)
		for _, arg := range strings.Fields(c.Args) {
			tag += " Ar " + argument(arg)
		}
		items = append(items, tag+"\n"+text)
	}
	var common []string
	for _, p := range verbs.Common() {
		common = append(common, item(flagTag("", p.Name, p.Value), sentence(p.Help)))
	}
	return tagged(items...) + ".Pp\nAll that stand for a verb of the daemon take:\n" + tagged(common...)
}

// connectionUsage is the flags of all commands, for the synopsis.
func connectionUsage() string {
	var flags []string
	for _, p := range commands.Connection {
		flags = append(flags, ".Op "+flagTag("", p.Name, p.Value))
	}
	return strings.Join(flags, "\n")
}

func connectionList() string {
	var items []string
	for _, p := range append(commands.Connection, commands.Version) {
		items = append(items, item(flagTag("", p.Name, p.Value), sentence(p.Help)))
	}
	return tagged(items...)
}

// exitList is the exit codes of a command, or of all.
func exitList(of string) string {
	var items []string
	for _, e := range commands.Exits {
		if e.Of == of {
			items = append(items, item(fmt.Sprintf("%d", e.Code), sentence(e.Means)))
		}
	}
	return tagged(items...)
}

// actionList is the verbs with their parameters, as heroscript has them. The fields of a
// definition stand in a list of their own.
func actionList() string {
	var items []string
	for _, v := range verbs.All() {
		text := prose(sentence(v.Help))
		var params []string
		fields := false
		for _, p := range v.AllParams() {
			switch {
			case isCommon(p.Name):
			case process.FieldNamed(p.Name) != nil && v.Takes("command"):
				fields = true
			default:
				params = append(params, param(p))
			}
		}
		if fields {
			text += ".Pp\nIt takes the fields of a definition, see\n.Sx FIELDS OF A DEFINITION ,\nand:\n"
		}
		if len(params) > 0 {
			text += tagged(params...)
		}
		items = append(items, ".It Cm !!"+v.Name+"\n"+text)
	}
	var common []string
	for _, p := range verbs.Common() {
		common = append(common, param(p))
	}
	return tagged(items...) + ".Pp\nAll of them take:\n" + tagged(common...)
}

// isCommon reports whether all verbs take a parameter.
func isCommon(name string) bool {
	return slices.ContainsFunc(verbs.Common(), func(p verbs.Param) bool { return p.Name == name })
}

// param is a parameter of a verb.
func param(p verbs.Param) string {
	need := ""
	if p.Required {
		need = "It must be given"
	}
	return item(keyTag(p.Name, p.Value), joined(p.Help, choice(p.Help, p.Choices), need))
}

// keyTag is a key with its value, as heroscript has it.
func keyTag(name, value string) string {
	if value == "" {
		return "Cm " + argument(name)
	}
	return "Cm " + argument(name) + " : Ns Ar " + argument(value)
}

// groupTitles are the titles of the groups of fields, in their order.
var groupTitles = []struct {
	group process.Group
	title string
}{
	{process.GroupRun, "What runs, and as whom"},
	{process.GroupLimit, "What all its processes may use together"},
	{process.GroupSchedule, "When it runs"},
	{process.GroupReady, "Whether it is ready, and well"},
	{process.GroupOrder, "What comes before it"},
	{process.GroupRestart, "Whether it runs again"},
	{process.GroupStop, "How it ends"},
	{process.GroupLog, "Its output"},
	{process.GroupPast, "What is kept of its past"},
}

// fieldList is the fields of a definition, as flags of the client or as keys of heroscript.
func fieldList(as string) string {
	var b strings.Builder
	for _, g := range groupTitles {
		var items []string
		for i := range process.Fields {
			f := &process.Fields[i]
			if f.Group != g.group {
				continue
			}
			tag := keyTag(f.Name, f.Value)
			if as == "flags" {
				tag = flagTag("", f.Name, f.Value)
			}
			items = append(items, item(tag, joined(f.Help, facts(f))))
		}
		b.WriteString(".Ss " + g.title + "\n" + tagged(items...))
	}
	return b.String()
}

// failureVariables are those that a command of on_failure has besides.
func failureVariables() string {
	return tagged(
		item("Ev "+process.VariableCause, sentence("why the run ended: "+strings.Join(process.Causes(), ", "))),
		item("Ev "+process.VariableExitCode, "The exit code of the main process, if it exited."),
		item("Ev "+process.VariableSignal, "The signal that ended the main process, without SIG, if one did."),
		item("Ev "+process.VariableError, "Why the run failed, in a line."),
		item("Ev "+process.VariableStart, "When it began, as 2026-01-31T15:04:05Z."),
		item("Ev "+process.VariableEnd, "When it had ended."),
		item("Ev "+process.VariableLastOutput, "The last 10 lines that it wrote, 4 KiB at most, as far as they are kept."),
	)
}

// runVariables are those of the environment that tell a run which it is.
func runVariables() string {
	return tagged(
		item("Ev "+process.VariableName, "The name of the process."),
		item("Ev "+process.VariableRun, "The number of the run."),
		item("Ev "+process.VariableJobID, "The jobid that was given, if one was."),
	)
}
