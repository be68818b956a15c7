package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// Flag is one of the daemon's flags.
type Flag struct {
	Name    string
	Default string // in words
	Example string // a value, as it may stand in the file
	Help    string // what it is for, in a line; what its value is stands in backquotes, in that of yes or no none
	More    string // what else there is to know
	Where   Where
	Repeats bool // what is given again is added, behind a blank
	Follows bool // a worker that reads the file again follows a change; else it takes a restart

	secret  bool                                // its value is shown nowhere
	initial string                              // gives a flag that follows its default back
	set     func(o *Options, text string) error // its value, if that can be
	inFile  func(text string) error             // what a file's must be besides; nil: nothing
}

// Where is where a flag can be given a value.
type Where string

const (
	Anywhere      Where = ""             // command line, environment, file
	NotInFile     Where = "not in file"  // command line, environment
	OnCommandLine Where = "command line" // it asks for something at once
)

// Flags are all there are, in the order in which to read them.
var Flags = []Flag{
	{
		Name: "socket", Default: "pm.sock in the runtime directory", Example: "/run/processmanager/pm.sock",
		Help: "Unix socket `PATH` to listen on",
		More: "Where systemd hands over a socket it is that one.",
		set:  text(func(o *Options) *string { return &o.Socket }), inFile: absolute,
	},
	{
		Name: "socket-mode", Default: "0600; with socket-group 0660", Example: "0660",
		Help: "`MODE` of the socket: who may connect is with 0600 the daemon's user and root, with 0660 a group too, with 0666 everybody; the secret is needed all the same",
		More: "Whoever is let in and knows the secret can do what the daemon's user can, as with the socket of docker.",
		set: func(o *Options, text string) (err error) {
			o.SocketMode, err = parseMode(text)
			return err
		},
	},
	{
		Name: "socket-group", Default: "the daemon's own", Example: "processmanager",
		Help: "`GROUP`, by name or number, whose members may connect to the socket",
		More: "The runtime directory, the state directory, and those that are made for the socket let it pass. Where systemd hands over the socket, its unit decides (SocketMode=, SocketGroup=).",
		set: func(o *Options, text string) error {
			o.SocketGroup = text
			_, err := GroupID(text)
			return err
		},
	},
	{
		Name: "listen", Default: "none", Example: "127.0.0.1:2323",
		Help: "`HOST:PORT` to listen on for telnet clients too, such as 127.0.0.1:2323",
		set:  text(func(o *Options) *string { return &o.Listen }),
		inFile: func(text string) error {
			if _, _, err := net.SplitHostPort(text); err != nil {
				return errors.New("HOST:PORT is expected, such as 127.0.0.1:2323")
			}
			return nil
		},
	},
	{
		Name: "metrics", Default: "none", Example: "127.0.0.1:9555",
		Help: "`HOST:PORT`, such as 127.0.0.1:9555, or unix:PATH to answer Prometheus on, at /metrics, and others at /healthz; whoever connects is told without a secret how processes are and what they use",
		More: "Who may connect to the socket at PATH is with socket-mode and socket-group as for the daemon's own.",
		set: func(o *Options, text string) error {
			o.Metrics = text
			if path, is := MetricsPath(text); is && path == "" {
				return errors.New("a path is expected behind unix:, such as unix:/run/processmanager/metrics.sock")
			}
			return nil
		},
		inFile: func(text string) error {
			if path, is := MetricsPath(text); is {
				return absolute(path)
			}
			if _, _, err := net.SplitHostPort(text); err != nil {
				return errors.New("HOST:PORT is expected, such as 127.0.0.1:9555, or unix:PATH")
			}
			return nil
		},
	},
	{
		Name: "allow-remote", Default: "false", Example: "true",
		Help: "let listen and metrics be other than loopback addresses, although both are clear text",
		set:  yesNo(func(o *Options) *bool { return &o.AllowRemote }),
	},
	{
		Name: "idle", Default: "30m", initial: "30m", Example: "2h", Follows: true,
		Help: "end a telnet session in which nothing was typed for this `TIME`, such as 90s or 2h; 0: never",
		set: func(o *Options, text string) (err error) {
			o.Idle, err = time.ParseDuration(text)
			switch {
			case err != nil || o.Idle < 0:
				return errors.New("a length of time is expected, such as 90s or 2h, or 0 for none")
			case o.Idle == 0:
				o.Idle = telnet.NoIdle
			}
			return nil
		},
	},
	{
		Name: "secret", Default: "made by the daemon, in a file beside the socket", Where: NotInFile, secret: true,
		Help: "the `SECRET` that clients must send; others can see it for a moment: prefer secret-file",
		set:  func(o *Options, text string) error { return client.SecretFlag(&o.Secret)(text) },
	},
	{
		Name: "secret-file", Default: "none", Example: "/etc/processmanager/secret",
		Help: "`FILE` whose first line is the secret",
		set:  text(func(o *Options) *string { return &o.SecretFile }), inFile: absolute,
	},
	{
		Name: "state", Default: "root: /var/lib/processmanager; others: processmanager in $XDG_STATE_HOME, or in ~/.local/state", Example: "/srv/processmanager",
		Help: "`DIR` of definitions, results and logs; another one is another instance",
		More: "Where it is given, the runtime directory is run in it, the definitions are in definitions, and, if it is given on the command line or in the environment, so is the configuration file.",
		set:  text(func(o *Options) *string { return &o.State }), inFile: absolute,
	},
	{
		Name: "runtime", Default: "root: /run/processmanager; others: processmanager in $XDG_RUNTIME_DIR; with state: run in that", Example: "/run/processmanager",
		Help: "`DIR` of what need not outlive the machine's next start",
		set:  text(func(o *Options) *string { return &o.Runtime }), inFile: absolute,
	},
	{
		Name: "definitions", Default: "root: /etc/processmanager; others: processmanager in $XDG_CONFIG_HOME, or in ~/.config; with state: definitions in that", Example: "/etc/processmanager", Follows: true,
		Help: "`DIR` of *.hero files with definitions, which are loaded at the start",
		set:  text(func(o *Options) *string { return &o.Definitions }), inFile: absolute,
	},
	{
		Name: "cgroup", Default: "under systemd a scope of its own, else the daemon's own group", Example: "/pm",
		Help: "cgroup `DIR` to work below: one below the mount of cgroup v2, or its path from there, such as /pm",
		set:  text(func(o *Options) *string { return &o.Cgroup }),
	},
	{
		Name: "limit", Default: "none", Example: "memory_max=4G pids_max=10000", Follows: true, Repeats: true,
		Help: "what all processes may use together, `NAME=VALUE`, with the limits of a definition (but for oom): memory_max=4G; may be given several times, or several in one with blanks between them",
		More: "It holds on the group above those of the runs. One that this host cannot enforce is refused.",
		set: func(o *Options, text string) (err error) {
			o.Limits, err = process.ParseLimits(text)
			return err
		},
	},
	{
		Name: "exit-with", Default: "none", Example: "web",
		Help: "end all processes in order when the one of this `NAME` has ended for good, and exit with its code: for the first process of a container",
		set: func(o *Options, text string) error {
			o.ExitWith = text
			return process.ValidateName(text)
		},
	},
	{
		Name: "config", Default: "root: /etc/processmanager/processmanager.conf; others: processmanager/processmanager.conf in $XDG_CONFIG_HOME, or in ~/.config; with state: processmanager.conf in that", Where: NotInFile,
		Help: "`FILE` that gives flags values, one NAME = VALUE a line; it need not be there unless it is named",
		set:  text(func(o *Options) *string { return &o.Config }),
	},
	{
		Name: "check", Default: "false", Where: OnCommandLine,
		Help: "show which values hold and where they come from, examine this host for a daemon with them, and end",
		set:  yesNo(func(o *Options) *bool { return &o.Check }),
	},
	{
		Name: "unit-stopped", Default: "false", Where: OnCommandLine,
		Help: "for ExecStopPost= of a systemd unit: if the unit is stopped for good, end what a daemon that was killed has left",
		set:  yesNo(func(o *Options) *bool { return &o.UnitStopped }),
	},
	{
		Name: "reset-store", Default: "false", Where: OnCommandLine,
		Help: "move the definitions and the logs aside and start with none",
		set:  yesNo(func(o *Options) *bool { return &o.ResetStore }),
	},
	{
		Name: "version", Default: "false", Where: OnCommandLine,
		Help: "say which build this is (release, commit, Go), and on what it runs (kernel, cgroup hierarchy), and end",
		set:  yesNo(func(o *Options) *bool { return &o.Version }),
	},
}

// MetricsPath is the path in a value of metrics that names a Unix socket.
func MetricsPath(value string) (path string, is bool) { return strings.CutPrefix(value, "unix:") }

// takesValue reports whether the flag has a value other than yes or no.
func (f *Flag) takesValue() bool { return strings.Contains(f.Help, "`") }

// Value is what stands for the flag's value, such as PATH, empty for yes or no, and its help
// without quotes.
func (f *Flag) Value() (value, text string) {
	if f.takesValue() {
		return flag.UnquoteUsage(&flag.Flag{Usage: f.Help})
	}
	return "", f.Help
}

// Env is the variable of the environment that gives the flag a value; empty if none does.
func (f *Flag) Env() string {
	if f.Where == OnCommandLine {
		return ""
	}
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

const envPrefix = "PROCESSMANAGER_"

// lookup finds a flag by its name.
func lookup(name string) *Flag {
	for i := range Flags {
		if Flags[i].Name == name {
			return &Flags[i]
		}
	}
	return nil
}

// FlagSet is the command line of the daemon. What is given there is handed to given, if it
// can be.
func FlagSet(given func(f *Flag, text string)) *flag.FlagSet {
	set := flag.NewFlagSet("processmanager", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for i := range Flags {
		f := &Flags[i]
		usage := f.Help
		if f.takesValue() {
			usage += " (default: " + f.Default + ")"
		}
		set.Var(&lineValue{f, given}, f.Name, usage)
	}
	return set
}

// lineValue is a flag of the command line.
type lineValue struct {
	flag  *Flag
	given func(f *Flag, text string)
}

func (v *lineValue) String() string   { return "" }
func (v *lineValue) IsBoolFlag() bool { return !v.flag.takesValue() }
func (v *lineValue) Set(text string) error {
	if err := v.flag.set(new(Options), text); err != nil {
		return err
	}
	v.given(v.flag, text)
	return nil
}

func text(field func(o *Options) *string) func(o *Options, text string) error {
	return func(o *Options, text string) error {
		*field(o) = text
		return nil
	}
}

func yesNo(field func(o *Options) *bool) func(o *Options, text string) error {
	return func(o *Options, text string) (err error) {
		*field(o), err = process.ParseBool(text)
		return err
	}
}

func absolute(text string) error {
	if !filepath.IsAbs(text) {
		return fmt.Errorf("in a file an absolute path is expected, such as /srv/%s", filepath.Base(text))
	}
	return nil
}
