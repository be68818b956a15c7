// Command pmclient drives a processmanager daemon from the shell.
//
//	pmclient [-socket PATH] [-secret-file FILE] COMMAND [flags] [NAME]
//
// Exit codes: 0 done, 1 the action failed, 2 usage, 69 no daemon there, 77 not
// authenticated. Of status: 0 it runs or is about to, 3 it is at rest, 4 there is no such
// process. Where several processes are named, that of the worst. Of wait and exec, and of start and
// restart with -wait: the run's exit code, 128 and its signal, 124 when a time is over, its
// deadline or that of the wait, 125 for every fault that is not the run's. Errors are one line
// on standard error.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/version"
	"github.com/freeflowuniverse/processmanager/telnet"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

func main() {
	ctx, stop := untilSignal(os.Args[1:])
	defer stop()
	client.HideSecret(os.Args)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitDone             = 0
	exitFailed           = 1
	exitUsage            = 2
	exitAtRest           = 3  // of status, as service scripts have it
	exitNoProcess        = 4  // of status
	exitNoDaemon         = 69 // EX_UNAVAILABLE of sysexits.h
	exitNotAuthenticated = 77 // EX_NOPERM
)

// coded is an exit code. Alone it is the end of a command that has nothing to add.
type coded int

func (coded) Error() string { return "" }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := newOutput(stdout)
	err := errors.Join(dispatch(ctx, args, stdin, out), out.flush())
	if err == nil {
		return exitDone
	}
	text, code := explain(err)
	if text == "" {
		return code
	}
	fmt.Fprintf(stderr, "pmclient: %s\n", screen.Line(text))
	return code
}

const interrupted = "interrupted; what was begun goes on in the daemon"

// explain says what went wrong, and what to do where the error does not say it.
func explain(err error) (text string, code int) {
	text = err.Error()
	var wrong usageError
	var coded coded
	if errors.As(err, &coded) {
		defer func() { code = int(coded) }()
	}
	switch {
	case errors.As(err, &wrong):
		return text, exitUsage
	case errors.Is(err, client.ErrNoDaemon):
		return text + "; start processmanager, or give its socket with -socket", exitNoDaemon
	case errors.Is(err, telnet.ErrUntrustedServer):
		return text + "; no secret was sent: give your daemon's socket with -socket", exitNotAuthenticated
	case errors.Is(err, client.ErrNotAuthenticated):
		return text, exitNotAuthenticated
	case errors.Is(err, process.ErrNotFound):
		return text + "; 'pmclient list' shows the names", exitFailed
	case errors.Is(err, context.Canceled):
		return interrupted, exitFailed
	}
	return text, exitFailed
}

// usageError is a command line that cannot be.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageOf("", format, args...) }

// usageOf is a usage error of a command.
func usageOf(command, format string, args ...any) error {
	help := strings.TrimSpace("pmclient help " + command)
	return usageError{fmt.Errorf(format+"; '"+help+"' shows the usage", args...)}
}

// dispatch carries out one command line.
func dispatch(ctx context.Context, args []string, stdin io.Reader, stdout *output) error {
	var conn connection
	if len(args) > 0 && args[0] == completeCommand { // the words behind it need not be right
		return complete(ctx, args[1:], stdout)
	}
	command, args, err := conn.parse(args)
	if errors.Is(err, flag.ErrHelp) || command == "help" {
		return help(stdout, args)
	}
	if err != nil {
		return err
	}
	if conn.version {
		return version.Write(stdout, "pmclient", "/proc")
	}
	switch command {
	case "run":
		err = runScript(ctx, conn, args, stdin, stdout)
	case "log", "logs", commands.LogVerb:
		err = logsCommand(ctx, conn, args, stdout)
	case "apply", commands.ApplyVerb:
		err = applyCommand(ctx, conn, args, stdin, stdout)
	case "exec", commands.ExecVerb:
		err = execCommand(ctx, conn, args, stdout)
	case "shell":
		err = shell(ctx, conn, args, stdin, stdout)
	case "top":
		err = topCommand(ctx, conn, args, stdin, stdout)
	default:
		err = runVerb(ctx, conn, command, args, stdout)
	}
	if errors.Is(err, flag.ErrHelp) {
		return help(stdout, []string{command})
	}
	return err
}

// runVerb carries out the verb that a command stands for.
func runVerb(ctx context.Context, conn connection, command string, args []string, stdout *output) error {
	verb, ok := verbs.Lookup(commands.Verb(command))
	if !ok {
		return noCommand(command)
	}
	action, err := parseVerb(verb, &conn, args)
	if err != nil {
		if verb.Name == commands.WaitVerb {
			err = ourFault(err)
		}
		return err
	}
	return carryOut(ctx, conn, verb, action, stdout)
}

// carryOut has the daemon carry out an action, and tells what came of it.
func carryOut(ctx context.Context, conn connection, verb *verbs.Verb, action heroscript.Action, stdout *output) error {
	c, err := conn.dial(ctx)
	if err != nil {
		if standsForRun(action) {
			err = ourFault(err)
		}
		return err
	}
	defer c.Close()
	answer := verbs.Run(ctx, follower{c, stdout.raw}, action)
	answer.Width = stdout.columns
	out := bufio.NewWriter(stdout) // a table is many small writes
	var w io.Writer = out
	if answer.Follows() { // each is for now
		w = stdout
	}
	failed, said := answer.Tell(w)
	said = errors.Join(said, out.Flush())
	failed = ended(ctx, answer.Follows(), failed)
	switch verb.Short() {
	case "start":
		name, _ := action.Get("name")
		switch {
		case !errors.Is(failed, process.ErrNotFound):
		case process.ValidateName(name.Value) == nil: // one alone
			failed = fmt.Errorf("%w: to define it, give its command, behind -- or as -command", failed)
		case !strings.ContainsAny(name.Value, "*?["):
			failed = fmt.Errorf("%w: a command stands behind --", failed)
		}
	case "status":
		failed = statusCode(answer.Outcomes(), failed)
	}
	if standsForRun(action) {
		return codeOf(answer, errors.Join(said, failed))
	}
	return errors.Join(said, failed)
}

// statusCode is the exit code of status beside what failed.
func statusCode(list []process.Outcome, failed error) error {
	if errors.Is(failed, process.ErrNotFound) {
		return fmt.Errorf("%w%w", coded(exitNoProcess), failed)
	}
	for _, o := range list {
		if failed == nil && o.Err == nil && o.Status.State.AtRest() {
			return coded(exitAtRest)
		}
	}
	return failed
}

func noCommand(command string) error {
	hint := ""
	if v := verbs.Nearest(command); v != nil {
		hint = fmt.Sprintf(": did you mean %s?", v.Short())
	}
	return usagef("there is no command %s%s", process.Printable(command), hint)
}

// parseVerb reads the flags of a command, which are the parameters of its verb; bare
// words are names.
func parseVerb(v *verbs.Verb, conn *connection, args []string) (a heroscript.Action, err error) {
	f := quietFlags(v.Short())
	conn.register(f)
	a = verbs.NewAction(v.Name)
	command, _ := commands.Lookup(v.Name)
	for _, given := range command.Flags {
		p := &param{Param: given.Param, to: &a}
		p.Name = given.Key()
		f.Var(p, given.Name, "")
		if given.Short != "" {
			f.Var(p, given.Short, "")
		}
	}
	for _, p := range v.Refused() {
		f.Var(&param{Param: p, to: &a}, p.Name, "")
	}
	args, program, given := args, []string(nil), false
	if v.Takes("command") {
		args, program, given = cutWords(f, args)
	}
	words, err := parseWords(f, joinWait(v, args))
	if err != nil {
		return a, err
	}
	if given {
		if err := addCommand(&a, v.Short(), program); err != nil {
			return a, err
		}
	}
	if words, err = lastWord(command, &a, words); err != nil {
		return a, err
	}
	if len(words) > 0 && !v.Takes("name") {
		return a, usageOf(v.Short(), "%s takes no name, %s was given", v.Short(), process.Printable(words[0]))
	}
	if _, command := a.Get("command"); command && len(words) > 1 {
		return a, usageOf(v.Short(), "%s with a command takes one name: after %s, %s was given; several words make one value in quotes, or stand behind --",
			v.Short(), process.Printable(words[0]), process.Printable(words[1]))
	}
	if _, command := a.Get("command"); !command && v.Takes("command") {
		if err := amongNames(v.Short(), words); err != nil {
			return a, err
		}
	}
	if len(words) > 0 {
		a.Params = append(a.Params, heroscript.Param{Key: "name", Value: strings.Join(words, ",")})
	}
	if _, given := a.Get("name"); !given && v.Needs("name") {
		return a, usageOf(v.Short(), "%s needs the name of a process", v.Short())
	}
	if _, command := a.Get("command"); !command && v.Name == commands.ExecVerb {
		return a, usageOf(v.Short(), "%s needs a command: a program and its arguments behind --, or -command COMMAND", v.Short())
	}
	if err := asFlags(v.Short(), a, words); err != nil {
		return a, err
	}
	if err := verbs.Check(a); err != nil {
		return a, usageOf(v.Short(), "%w", err)
	}
	return a, nil
}

// parseWords reads flags, wherever they stand, and returns the bare words between them.
func parseWords(f *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, flagError(f, err)
		}
		if f.NArg() == 0 {
			return words, nil
		}
		words, args = append(words, f.Arg(0)), f.Args()[1:]
	}
}

// param is a flag that becomes a parameter of an action.
type param struct {
	verbs.Param
	to *heroscript.Action
}

func (p *param) String() string   { return "" }
func (p *param) IsBoolFlag() bool { return p.IsFlag() || p.Alone != "" }
func (p *param) Set(value string) error {
	for i := range p.to.Params {
		if given := &p.to.Params[i]; p.Lines && given.Key == p.Name {
			given.Value += "\n" + value
			return nil
		}
	}
	if p.Alone != "" && value == "true" {
		value = p.Alone
	}
	p.to.Params = append(p.to.Params, heroscript.Param{Key: p.Name, Value: value})
	return nil
}

// connection is how to reach the daemon.
type connection struct {
	socket, secret, secretFile string

	version bool // reach none, and say which build this is
}

// register has f take the flags of commands.Connection.
func (c *connection) register(f *flag.FlagSet) {
	f.StringVar(&c.socket, "socket", c.socket, "")
	f.Func("secret", "", client.SecretFlag(&c.secret))
	f.StringVar(&c.secretFile, "secret-file", c.secretFile, "")
}

// before are the flags that stand before the command: those of each command, and one that
// takes its place.
func (c *connection) before() *flag.FlagSet {
	f := quietFlags("")
	c.register(f)
	f.BoolVar(&c.version, commands.Version.Name, false, "")
	return f
}

// parse reads the flags before the command.
func (c *connection) parse(args []string) (command string, rest []string, err error) {
	f := c.before()
	if err := f.Parse(args); err != nil {
		return "", nil, flagError(f, err)
	}
	if c.version {
		return "", nil, nil
	}
	if f.NArg() == 0 {
		return "", nil, usagef("a command is missing")
	}
	return f.Arg(0), f.Args()[1:], nil
}

func (c *connection) dial(ctx context.Context) (*client.Client, error) {
	config := client.Config{Socket: c.socket, Secret: []byte(c.secret)}
	if c.secret == "" {
		config.Secret = nil
	}
	if c.secretFile != "" && c.secret == "" {
		secret, err := client.GivenSecret(c.secretFile)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", client.ErrNotAuthenticated, err)
		}
		config.Secret = secret
	}
	return client.Dial(ctx, config)
}

func quietFlags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	return f
}

// flagError is what package flag found, with a hint at the flag that was meant.
func flagError(f *flag.FlagSet, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if given, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
		var known []string
		f.VisitAll(func(f *flag.Flag) { known = append(known, "-"+f.Name) })
		return usageOf(f.Name(), "there is no flag %s%s", process.Printable("-"+given), verbs.DidYouMean("-"+given, known))
	}
	return usageOf(f.Name(), "%w", err)
}
