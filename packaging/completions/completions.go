// Package completions is the completion of both programs for bash, zsh and fish.
//
// That of pmclient asks the program itself, so it is in step with its commands and knows the
// processes. That of the daemon is made from the table of its flags: it is started by hand
// seldom, and must not be started to be asked.
package completions

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/config"
)

var (
	//go:embed pmclient.bash
	clientBash string
	//go:embed _pmclient
	clientZsh string
	//go:embed pmclient.fish
	clientFish string
)

// Files are the completions by their paths, of which the last part is the name that the
// shell looks for.
func Files() map[string]string {
	return map[string]string{
		"bash/pmclient":            clientBash,
		"bash/processmanager":      daemonBash(),
		"zsh/_pmclient":            clientZsh,
		"zsh/_processmanager":      daemonZsh(),
		"fish/pmclient.fish":       clientFish,
		"fish/processmanager.fish": daemonFish(),
	}
}

const heading = "# Completion of processmanager(8) for %s, made from the table of its flags.\n\n"

// kind is how the shells complete a value.
type kind struct{ bash, zsh, fish string }

var (
	files       = kind{"compopt -o default", "_files", "-F"}
	directories = kind{"compopt -o dirnames", "_files -/", "-x -a '(__fish_complete_directories)'"}
	groups      = kind{`mapfile -t COMPREPLY < <(compgen -g -- "$word")`, "_groups", "-x -a '(__fish_complete_groups)'"}
	none        = kind{":", " ", "-x"}
)

// kindOf is how a value is completed that stands in the help as this.
func kindOf(value string) kind {
	switch value {
	case "PATH", "FILE":
		return files
	case "DIR":
		return directories
	case "GROUP":
		return groups
	}
	return none
}

func daemonBash() string {
	var names, cases strings.Builder
	for i := range config.Flags {
		f := &config.Flags[i]
		names.WriteString(" -" + f.Name)
		if value, _ := f.Value(); value != "" {
			fmt.Fprintf(&cases, "\t-%s) %s ;;\n", f.Name, kindOf(value).bash)
		}
	}
	return fmt.Sprintf(heading, "bash") + `_processmanager() {
	local word=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]}
	if [[ $word == = ]]; then
		word=
	elif [[ $flag == = ]]; then # bash takes -flag=value apart
		flag=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	COMPREPLY=()
	case ${flag/#--/-} in
` + cases.String() + `	*) mapfile -t COMPREPLY < <(compgen -W '` + names.String()[1:] + `' -- "${word/#--/-}") ;;
	esac
}

complete -F _processmanager processmanager
`
}

func daemonZsh() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef processmanager\n"+heading+"_arguments", "zsh")
	for i := range config.Flags {
		f := &config.Flags[i]
		value, help := f.Value()
		spec := "-" + f.Name + "[" + strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`).Replace(help) + "]"
		if value != "" {
			spec += ":" + strings.ReplaceAll(value, ":", `\:`) + ":" + kindOf(value).zsh
		}
		b.WriteString(" \\\n\t" + quoted(spec, `'\''`))
	}
	b.WriteString("\n")
	return b.String()
}

func daemonFish() string {
	var b strings.Builder
	fmt.Fprintf(&b, heading+"complete -c processmanager -f\n", "fish")
	for i := range config.Flags {
		f := &config.Flags[i]
		value, help := f.Value()
		fmt.Fprintf(&b, "complete -c processmanager -o %s", f.Name)
		if value != "" {
			b.WriteString(" -r " + kindOf(value).fish)
		}
		b.WriteString(" -d " + quoted(strings.ReplaceAll(help, `\`, `\\`), `\'`) + "\n")
	}
	return b.String()
}

// quoted is text in single quotes, in which quote stands for one of them.
func quoted(text, quote string) string {
	return "'" + strings.ReplaceAll(text, "'", quote) + "'"
}
