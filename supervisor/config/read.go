package config

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Config is what the daemon was told.
type Config struct {
	Options
	File string // the configuration file, which need not be there

	given map[string]given // by the name of the flag; what is not here has its default
}

// given is a value, and who has given it.
type given struct {
	Text string
	From Origin
}

// Origin is where a value comes from. The zero value is the default.
type Origin struct {
	Flag string `json:",omitempty"` // of the command line
	Env  string `json:",omitempty"`
	File string `json:",omitempty"`
	Line int    `json:",omitempty"`
}

func (o Origin) String() string {
	switch {
	case o.Flag != "":
		return "flag -" + o.Flag
	case o.Env != "":
		return "environment " + o.Env
	case o.File != "":
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return "default"
}

// rank is whose value counts: that of the lowest.
func (o Origin) rank() int {
	switch {
	case o.Flag != "":
		return 0
	case o.Env != "":
		return 1
	case o.File != "":
		return 2
	}
	return 3
}

// Mistakes are what is wrong with it, one line each: where, what, and what would be right.
type Mistakes []string

func (m Mistakes) Error() string { return strings.Join(m, "\n") }

// err is nil where there are none.
func (m Mistakes) err() error {
	if m == nil {
		return nil
	}
	return m
}

// Read is what the daemon is told by the arguments of its command line, of which the first
// is its name, by the environment and by the configuration file.
//
// Errors: flag.ErrHelp; Mistakes, with what could be understood.
func Read(args []string, getenv func(string) string) (*Config, error) {
	c := &Config{given: map[string]given{}}
	set := FlagSet(func(f *Flag, text string) {
		c.given[f.Name] = given{f.added(c.given[f.Name].Text, text), Origin{Flag: f.Name}}
	})
	switch err := set.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return nil, err
	case err != nil:
		return c, Mistakes{lineMistake(err) + usageHint}
	case set.NArg() > 0:
		return c, Mistakes{fmt.Sprintf("unexpected argument %q: it takes flags only", set.Arg(0)) + usageHint}
	}
	if wrong := c.settle(); c.Version { // whatever else there is
		return c, wrong.err()
	}
	var wrong Mistakes
	for i := range Flags {
		f := &Flags[i]
		value := ""
		if name := f.Env(); name != "" {
			value = getenv(name)
		}
		if value == "" { // an empty variable is as none
			continue
		}
		from := Origin{Env: f.Env()}
		if err := f.check(value, false); err != nil {
			wrong = append(wrong, fmt.Sprintf("%v: %v", from, err))
		} else {
			c.offer(f.Name, given{value, from})
		}
	}
	named := c.given["config"].Text
	file, err := filepath.Abs(named)
	if named == "" {
		file, err = filepath.Abs(defaultFile(c.given["state"].Text))
	}
	if err == nil && named != "" { // of the others the state directory is looked at
		err = CheckText(file)
	}
	if err != nil {
		return c, append(wrong, err.Error())
	}
	c.File = file
	values, mistakes := readFile(file, named != "")
	wrong = append(wrong, mistakes...)
	for name, value := range values {
		c.offer(name, value)
	}
	wrong = append(wrong, c.settle()...)
	return c, wrong.err()
}

const usageHint = "; -help lists the flags"

// lineMistake is what package flag found, with a hint at the flag that was meant.
func lineMistake(err error) string {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return err.Error()
	}
	var known []string
	for i := range Flags {
		known = append(known, "-"+Flags[i].Name)
	}
	return fmt.Sprintf("there is no flag %s%s", process.Printable("-"+name), verbs.DidYouMean("-"+name, known))
}

// offer takes a value unless one was given that counts more.
func (c *Config) offer(name string, value given) {
	if had, ok := c.given[name]; !ok || value.From.rank() < had.From.rank() {
		c.given[name] = value
	}
}

// settle makes options of what was given. Each value is one that can be.
func (c *Config) settle() (wrong Mistakes) {
	// A secret and a file that holds it are one choice. Of one origin the secret counts.
	if secret, ok := c.given["secret"]; ok {
		if file, ok := c.given["secret-file"]; ok && file.From.rank() < secret.From.rank() {
			delete(c.given, "secret")
		} else {
			delete(c.given, "secret-file")
		}
	}
	c.Options = Options{}
	for i := range Flags {
		f := &Flags[i]
		if value, ok := c.given[f.Name]; ok {
			if err := f.set(&c.Options, value.Text); err != nil { // a group that is gone since
				wrong = append(wrong, fmt.Sprintf("%v: %v", value.From, err))
			}
		}
	}
	if _, err := c.Access(); err != nil {
		wrong = append(wrong, fmt.Sprintf("%v: socket-mode = %s: %v", c.Origin("socket-mode"), c.given["socket-mode"].Text, err))
	}
	return wrong
}

// Origin is where the value of a flag comes from.
func (c *Config) Origin(name string) Origin { return c.given[name].From }
