package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// known is a Manager that knows one process, web, and notes what it is asked.
type known struct {
	mu     sync.Mutex
	asked  []string
	output string
	logErr error
	state  process.State // 0: running
	ended  process.Run   // how the run went that was waited for

	waitErr error // of each wait

	applied []process.Applied
}

func (k *known) do(name, format string, args ...any) (process.Status, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, fmt.Sprintf(format, args...))
	if name != "web" {
		return process.Status{}, process.Errorf(process.CodeNotFound, "no process '%s'", name)
	}
	s := process.NewStatus(process.Spec{Name: "web", Command: "./web"}, process.Running)
	s.PID, s.Number = 42, 1
	if k.ended.Number != 0 {
		s.LastRun = &k.ended
	}
	return s, nil
}

func (k *known) StartSpec(_ context.Context, s process.Spec, how process.How) (process.Status, error) {
	text := fmt.Sprintf("start %s %q log=%v cron=%q deadline=%v job=%q signal=%v", s.Name, s.Command, s.Log, s.Cron, s.Deadline, s.JobID, s.EndSignal())
	if s.StopTimeout != nil {
		text += fmt.Sprintf(" grace=%v", s.Grace())
	}
	if how.Replace {
		text += " replace"
	}
	if how.Wait != "" {
		text += " wait=" + string(how.Wait)
	}
	return k.do("web", "%s", text)
}

func (k *known) Do(_ context.Context, of process.Selection, op process.Operation) ([]process.Outcome, error) {
	names, err := of.Resolve([]string{"web"})
	var list []process.Outcome
	for _, name := range names {
		o := process.Outcome{Name: name}
		text := strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", op), "process."))
		switch op := op.(type) {
		case process.Restart:
			text += strings.TrimSuffix(" "+op.JobID+" "+string(op.Wait), " ")
		case process.StartAgain:
			text += strings.TrimSuffix(" "+op.JobID+" "+string(op.Wait), " ")
		case process.SendSignal:
			text += fmt.Sprintf(" %v %v", op.Signal, op.Tree)
		case process.Set:
			text += fmt.Sprint(" ", op.Settings)
		}
		o.Status, o.Err = k.do(name, "%s %s", name, strings.TrimSpace(text))
		if _, ok := op.(process.Delete); ok {
			o.Status = process.Status{}
		}
		list = append(list, o)
	}
	return list, err
}

func (k *known) Execute(_ context.Context, e process.Exec, w process.Watcher) error {
	k.do("web", "exec %s %q rm=%v", e.Spec.Name, e.Spec.Command, e.Remove)
	w.Write([]byte("hello\n"))
	return w.Ended(process.Waited{Name: e.Spec.Name, State: process.Completed, Run: k.ended})
}

func (k *known) Await(_ context.Context, of process.Selection, w process.WaitFor) (list []process.Waited, err error) {
	names, err := of.Resolve([]string{"web"})
	for i, name := range names {
		s, err := k.do(name, "%s wait %s %v %d", name, w.Until, w.Timeout, w.Run(i))
		list = append(list, process.Waited{Name: name, State: process.Completed, Run: s.Ended(), Err: cmp.Or(k.waitErr, err)})
	}
	return list, err
}

func (k *known) Define(_ context.Context, spec process.Spec) (process.Status, error) {
	return k.do(spec.Name, "define %s %q", spec.Name, spec.Command)
}

func (k *known) Apply(_ context.Context, a process.Application) ([]process.Applied, error) {
	_, err := k.do("web", "apply %q %q %v %v %v", a.Path, a.Files, a.Prune, a.DryRun, a.Restart)
	return k.applied, err
}

func (k *known) Export(_ context.Context, of process.Selection) ([]process.Exported, error) {
	_, err := k.do("web", "export %s", of)
	return []process.Exported{{Name: "web", Text: "!!process.define name:web command:'\x1b'\n"}}, err
}

func (k *known) Show(_ context.Context, of process.Selection, _ process.Detail) (list []process.Outcome, err error) {
	if len(of) == 0 {
		of = process.Selection{"web"}
	}
	names, err := of.Resolve([]string{"web"})
	for _, name := range names {
		o := process.Outcome{Name: name}
		if o.Status, o.Err = k.do(name, "show %s", name); o.Err == nil {
			o.Status.State = cmp.Or(k.state, process.Running)
		}
		list = append(list, o)
	}
	return list, err
}

func (k *known) Runs(_ context.Context, q process.RunQuery) (iter.Seq[process.RunRecord], error) {
	_, err := k.do("web", "%s", strings.TrimSpace(heroscript.Format(heroscript.Script{verbs.RunsAction(q)})))
	return slices.Values([]process.RunRecord(nil)), err
}

func (k *known) Ledger(_ context.Context, of process.Selection, since time.Time) ([]process.LedgerRecord, error) {
	_, err := k.do("web", "ledger %s %v", of, since.IsZero())
	return nil, err
}

func (k *known) Next(_ context.Context, of process.Selection, most int) ([]process.Coming, error) {
	_, err := k.do("web", "next %s %d", of, most)
	return nil, err
}

func (k *known) Reclaim(_ context.Context, of process.Selection, bytes uint64) (list []process.Reclaimed, err error) {
	for _, name := range of {
		_, err := k.do(name, "reclaim %s %d", name, bytes)
		list = append(list, process.Reclaimed{Name: name, Asked: bytes, Before: 2 * bytes, After: bytes, All: true, Err: err})
	}
	return list, nil
}

func (k *known) Tree(_ context.Context, of process.Selection) ([]process.Tree, error) {
	_, err := k.do("web", "tree %s", of)
	return []process.Tree{{Name: "web", State: process.Stopped, Err: err}}, nil
}

func (k *known) Events(_ context.Context, q process.EventQuery, tell func(process.Event) error) error {
	_, err := k.do("web", "%s", strings.TrimSpace(heroscript.Format(heroscript.Script{verbs.EventsAction(q)})))
	return err
}

func (k *known) Figures(_ context.Context, follow bool, tell func([]process.Figures) error) error {
	_, err := k.do("web", "figures %v", follow)
	return err
}

func (k *known) Upgrade(_ context.Context, number uint64) (process.Upgrade, error) {
	return process.Upgrade{Number: max(number, 1), Done: number > 0}, nil
}

func (k *known) Doctor(context.Context) (process.Report, error) {
	return process.Report{Findings: []process.Finding{{Subject: "kernel", Level: process.LevelOK, Found: "6.1"}}}, nil
}

func (k *known) Log(_ context.Context, name string, q process.LogQuery, w io.Writer) (int64, error) {
	if _, err := k.do(name, "log %s %d", name, q.Lines); err != nil {
		return 0, err
	}
	n, err := io.WriteString(w, k.output)
	return int64(n), cmp.Or(err, k.logErr)
}

type handler struct{ verbs.Manager }

func (h handler) Handle(ctx context.Context, script string, _ telnet.SessionInfo) telnet.Reply {
	a := verbs.RunText(ctx, h.Manager, script)
	return telnet.Reply{JobID: a.JobID, Body: func(w io.Writer) error { return a.Write(w) }}
}

func (h handler) Error(script, code, message string) telnet.Reply {
	a := verbs.Refuse(script, code, message)
	return telnet.Reply{JobID: a.JobID, Body: func(w io.Writer) error { return a.Write(w) }}
}

const secret = "open sesame"

// daemon serves k for the time of the test.
func daemon(t *testing.T, k verbs.Manager) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "pm.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		(&telnet.Server{Secret: []byte(secret), Handler: handler{k}}).Serve(ctx, l)
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return socket
}

// pmclient is one call of the program.
func pmclient(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return pmclientWith(t, "", args...)
}

func pmclientWith(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, err strings.Builder
	code = run(ctx, args, strings.NewReader(stdin), &out, &err)
	if text := err.String(); text != "" && (strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "pmclient: ")) {
		t.Errorf("%q: standard error is not one line: %q", args, text)
	}
	if (code == exitDone) != (err.Len() == 0) {
		t.Errorf("%q: code %d with standard error %q", args, code, err.String())
	}
	return code, out.String(), err.String()
}

// withoutSecrets is an environment that names neither secret nor daemon.
func withoutSecrets(t *testing.T) {
	for _, name := range []string{client.SecretEnv, "CREDENTIALS_DIRECTORY"} {
		t.Setenv(name, "") // put back at the end
		os.Unsetenv(name)
	}
}

// TestFlagsStandAnywhere: before the command, before the name and behind it, with
// one hyphen or two.
func TestFlagsStandAnywhere(t *testing.T) {
	k := &known{}
	socket := daemon(t, k)
	const plain = `cron="" deadline=0s job="" signal=TERM`
	for _, c := range []struct{ args, want string }{
		{"-socket SOCKET -secret SECRET list", "show web"},
		{"--socket=SOCKET --secret=SECRET list", "show web"},
		{"list -socket SOCKET -secret SECRET", "show web"},
		{"-socket wrong -secret wrong list -socket SOCKET -secret SECRET", "show web"},
		{"-socket SOCKET -secret SECRET list w*", "show web"},
		{"-socket SOCKET -secret SECRET stop web", "web stop"},
		{"-socket SOCKET -secret SECRET stop -name web", "web stop"},
		{"-socket SOCKET -secret SECRET stop --name web", "web stop"},
		{"-socket SOCKET -secret SECRET stop --name=web", "web stop"},
		{"-socket SOCKET stop web -secret SECRET", "web stop"},
		{"-socket SOCKET -secret SECRET stop -- web", "web stop"},
		{"-socket SOCKET -secret SECRET stop web web", "web stop"},
		{"-socket SOCKET -secret SECRET stop w*,web", "web stop"},
		{"-socket SOCKET -secret SECRET delete web", "web delete"},
		{"-socket SOCKET -secret SECRET pause web", "web pause"},
		{"-socket SOCKET -secret SECRET resume w*", "web resume"},
		{"-socket SOCKET -secret SECRET signal web -signal HUP -tree", "web sendsignal HUP true"},
		{"-socket SOCKET -secret SECRET signal web HUP -tree", "web sendsignal HUP true"},
		{"-socket SOCKET -secret SECRET signal -tree -name web 1", "web sendsignal HUP true"},
		{"-socket SOCKET -secret SECRET reclaim web 100M", "reclaim web 104857600"},
		{"-socket SOCKET -secret SECRET reclaim web -size 4K", "reclaim web 4096"},
		{"-socket SOCKET -secret SECRET set web -log -stop_timeout 5s", "web set [{log true} {stop_timeout 5s}]"},
		{"-socket SOCKET -secret SECRET runs web -limit 3", "!!process.runs name:web limit:3"},
		{"-socket SOCKET -secret SECRET runs -failed web -n 3 -cause oom -jobid n1", "!!process.runs name:web cause:oom failed:true job:n1 limit:3"},
		{"-socket SOCKET -secret SECRET runs -all -since 2026-01-31T00:00:00Z -until 2026-02-01T00:00:00.5Z", "!!process.runs all:true since:2026-01-31T00:00:00Z until:2026-02-01T00:00:00.5Z"},
		{"-socket SOCKET -secret SECRET events", "!!process.events since:0"},
		{"-socket SOCKET -secret SECRET events -f -failed -since 41 web db-* -n 5", "!!process.events since:41 name:web,db-* failed:true limit:5 follow:true"},
		{"-socket SOCKET -secret SECRET events -since 2026-01-31T00:00:00.25Z", "!!process.events since:2026-01-31T00:00:00.25Z"},
		{"-socket SOCKET -secret SECRET events -since 4", "!!process.events since:4"},
		{"-socket SOCKET -secret SECRET restart web -jobid e42", "web restart e42"},
		{"-socket SOCKET -secret SECRET restart web", "web restart"},
		{"-socket SOCKET -secret SECRET status -format json web", "show web"},
		{"-socket SOCKET -secret SECRET log web", "show web, log web 100"},
		{"-socket SOCKET -secret SECRET logs -limit 7 web", "show web, log web 7"},
		{"-socket SOCKET -secret SECRET start web", "web startagain"},
		{"-socket SOCKET -secret SECRET start web -wait ready", "web startagain  ready"},
		{"-socket SOCKET -secret SECRET start -wait ready web", "web startagain  ready"},
		{"-socket SOCKET -secret SECRET restart --wait=ready web", "web restart  ready"},
		{"-socket SOCKET -secret SECRET start -command ./web -wait ready web", `start web "./web" log=false ` + plain + " wait=ready"},
		{"-socket SOCKET -secret SECRET start web -command ./web -replace", `start web "./web" log=false ` + plain + " replace"},
		{"-socket SOCKET -secret SECRET start -name web -command ./web -log", `start web "./web" log=true ` + plain},
		{"-socket SOCKET -secret SECRET start web -log -command ./web", `start web "./web" log=true ` + plain},
		{"-socket SOCKET -secret SECRET start -log=true web -command ./web", `start web "./web" log=true ` + plain},
		{"-socket SOCKET -secret SECRET start -command ./web web -log=false", `start web "./web" log=false ` + plain},
		{"-socket SOCKET -secret SECRET start -command ./web web -log=no", `start web "./web" log=false ` + plain},
		{"-socket SOCKET -secret SECRET start -command=-x web", `start web "-x" log=false ` + plain},
		{"-socket SOCKET -secret SECRET start web -command c -cron @daily -deadline 1.5 -jobid j -stop_signal SIGINT -stop_timeout 0",
			`start web "c" log=false cron="@daily" deadline=1.5s job="j" signal=INT grace=0s`},
	} {
		k.asked = nil
		var args []string
		for _, arg := range strings.Fields(c.args) {
			args = append(args, strings.NewReplacer("SOCKET", socket, "SECRET", secret).Replace(arg))
		}
		if code, _, stderr := pmclient(t, args...); code != exitDone || strings.Join(k.asked, ", ") != c.want {
			t.Errorf("%s: code %d, %s\nasked %q\nwant  %q", c.args, code, stderr, k.asked, c.want)
		}
	}
	for _, args := range []string{"run - -socket SOCKET -secret SECRET", "run -socket SOCKET - -secret SECRET", "-secret SECRET run -- - -socket SOCKET", "shell -socket SOCKET -secret SECRET"} {
		k.asked = nil
		var line []string
		for _, arg := range strings.Fields(args) {
			line = append(line, strings.NewReplacer("SOCKET", socket, "SECRET", secret).Replace(arg))
		}
		if code, _, stderr := pmclientWith(t, "!!process.list", line...); code != exitDone || !slices.Equal(k.asked, []string{"show web"}) {
			t.Errorf("%s: code %d, %s, asked %q", args, code, stderr, k.asked)
		}
	}
	k.asked = nil
	pmclient(t, "-socket", socket, "-secret", secret, "start", "web", "-command", "echo 'a\n!!b' \\")
	if want := fmt.Sprintf("start web %q log=false %s", "echo 'a\n!!b' \\", plain); !slices.Equal(k.asked, []string{want}) {
		t.Errorf("asked %q, want %q", k.asked, want)
	}
}

// TestUsageErrorsSayWhatWouldBeRight, and nobody is asked anything.
func TestUsageErrorsSayWhatWouldBeRight(t *testing.T) {
	for args, want := range map[string]string{
		"":                                  "a command is missing; 'pmclient help' shows the usage",
		"strat web":                         `there is no command "strat": did you mean start?; 'pmclient help' shows the usage`,
		"zfs":                               `there is no command "zfs"; 'pmclient help' shows the usage`,
		"statu":                             `there is no command "statu": did you mean status?; 'pmclient help' shows the usage`,
		"help strat":                        `there is no command "strat": did you mean start?; 'pmclient help' shows the usage`,
		"-sokcet x list":                    "there is no flag \"-sokcet\": did you mean -socket?; 'pmclient help' shows the usage",
		"-socket":                           "flag needs an argument: -socket; 'pmclient help' shows the usage",
		"-secret= list":                     `invalid value "" for flag -secret: -secret is empty; 'pmclient help' shows the usage`,
		"list -secret=":                     `invalid value "" for flag -secret: -secret is empty; 'pmclient help list' shows the usage`,
		"list -nonsense":                    "there is no flag \"-nonsense\"; 'pmclient help list' shows the usage",
		"doctor web":                        `doctor takes no name, "web" was given; 'pmclient help doctor' shows the usage`,
		"stop":                              "stop needs the name of a process; 'pmclient help stop' shows the usage",
		"start a /bin/sleep /tmp/5":         `"/bin/sleep" is not a name: a command stands behind --, as in pmclient start a -- /bin/sleep /tmp/5; 'pmclient help start' shows the usage`,
		"define a echo $HOME":               `"$HOME" is not a name: a command stands behind --, as in pmclient define a -- sh -c 'echo $HOME'; 'pmclient help define' shows the usage`,
		"start a/b":                         `name: "a/b": '/' cannot stand at 2: a name is 1 to 128 of A-Z a-z 0-9 . _ @ : -, the first a letter, digit or _; 'pmclient help start' shows the usage`,
		"start a -command sleep 5":          `start with a command takes one name: after "a", "5" was given; several words make one value in quotes, or stand behind --; 'pmclient help start' shows the usage`,
		"start -name a -name b":             "parameter name is given twice; 'pmclient help start' shows the usage",
		"start a -log":                      "start without a command starts what is there as it is, without -log: give the command, behind -- or as -command, or change what is there with pmclient set \"a\" -log; 'pmclient help start' shows the usage",
		"start a -wait ready -deadline 5":   "start without a command starts what is there as it is, without -deadline: give the command, behind -- or as -command, or change what is there with pmclient set \"a\" -deadline; 'pmclient help start' shows the usage",
		"define a,b -- x":                   `define with a command takes one name: "a,b" is not one, but may be several; 'pmclient help define' shows the usage`,
		"start a* -command x":               `start with a command takes one name: "a*" is not one, but may be several; 'pmclient help start' shows the usage`,
		"exec make":                         "exec needs a command: a program and its arguments behind --, or -command COMMAND; 'pmclient help exec' shows the usage",
		"exec -cron @daily -- make":         "cron: a command in the foreground runs once, now: leave it away, or start a process and wait for it; 'pmclient help exec' shows the usage",
		"exec -overlap=allow -- make":       "overlap: a command in the foreground runs once, now: leave it away, or start a process and wait for it; 'pmclient help exec' shows the usage",
		"signal 9 web db":                   "the signal stands last, as in pmclient signal web db 9; 'pmclient help signal' shows the usage",
		"signal web -tree":                  "signal needs a signal, as in pmclient signal web HUP; 'pmclient help signal' shows the usage",
		"signal hup":                        "signal needs a signal, as in pmclient signal hup HUP; 'pmclient help signal' shows the usage",
		"signal web HUPP":                   "signal needs a signal, as in pmclient signal web HUPP HUP; 'pmclient help signal' shows the usage",
		"reclaim web":                       "reclaim needs a size, as in pmclient reclaim web 100M; 'pmclient help reclaim' shows the usage",
		"reclaim 100M web":                  "the size stands last, as in pmclient reclaim web 100M; 'pmclient help reclaim' shows the usage",
		"reclaim web 100":                   "size: \"100\" is less than a page of memory: give 4K or more; 'pmclient help reclaim' shows the usage",
		"start a -command b -log=maybe":     `log: "maybe" is neither true nor false (or yes/no, y/n, 1/0, on/off); 'pmclient help start' shows the usage`,
		"start a -command b -deadline":      "flag needs an argument: -deadline; 'pmclient help start' shows the usage",
		"start a -command b -deadline soon": `deadline: "soon" is not a length of time: a number of seconds such as 30 or 1.5, or 500ms, 90s, 10m, 2h, 1d; 'pmclient help start' shows the usage`,
		"logs -nonsense a":                  "there is no flag \"-nonsense\"; 'pmclient help logs' shows the usage",
		"logs -limit 0 a":                   `limit: "0" is not a number of lines: 1 or more; 'pmclient help logs' shows the usage`,
		"logs a -until 2026-01-30T00:00:00Z -since 2026-01-31T00:00:00Z": "since is not before until, so there is nothing between them: 2026-01-31T00:00:00Z and 2026-01-30T00:00:00Z; 'pmclient help logs' shows the usage",
		"list -format yaml":     `format: "yaml" is not a format: json or text; 'pmclient help list' shows the usage`,
		"run":                   "run takes one file, or - for standard input; 'pmclient help run' shows the usage",
		"run a b":               "run takes one file, or - for standard input; 'pmclient help run' shows the usage",
		"run /nonexistent.hero": "open /nonexistent.hero: no such file or directory",
		"shell x":               "shell takes no arguments; 'pmclient help shell' shows the usage",
	} {
		code, stdout, stderr := pmclient(t, strings.Fields(args)...)
		usage := exitUsage
		if strings.HasPrefix(args, "exec ") { // its code is that of a run
			usage = process.ExitOurFault
		}
		if code != usage || stdout != "" || stderr != "pmclient: "+want+"\n" {
			t.Errorf("%s: code %d, %q\ngot  %swant pmclient: %s", args, code, stdout, stderr, want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	withoutSecrets(t)
	socket := daemon(t, &known{})
	empty := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		want string // in standard error
	}{
		{[]string{"-socket", socket, "-secret", secret, "list"}, exitDone, ""},
		{[]string{"-socket", socket, "-secret", secret, "stop", "nobody"}, exitFailed, "no process 'nobody'; 'pmclient list' shows the names"},
		{[]string{"-socket", socket, "-secret", secret, "start", "nobody"}, exitFailed, "no process 'nobody': to define it, give its command, behind -- or as -command; 'pmclient list' shows the names"},
		{[]string{"-socket", socket, "-secret", secret, "start", "nobody", "sleep", "5"}, exitFailed, "no process '5': a command stands behind --; 'pmclient list' shows the names"},
		{[]string{"-socket", socket, "-secret", secret, "start", "a", "sleep 5"}, exitUsage, `"sleep 5" is not a name: a command stands behind --, as in pmclient start a -- sleep 5; `},
		{[]string{"-socket", socket, "-secret", secret, "start", "sleep 5"}, exitUsage, `"sleep 5" is not a name: the name comes first, and a command stands behind --, as in pmclient start NAME -- sleep 5; `},
		{[]string{"-socket", socket, "-secret", secret, "stop", "a/b"}, exitUsage, "'pmclient help stop'"},
		{[]string{"-socket", empty + "/pm.sock", "-secret", secret, "list"}, exitNoDaemon, "start processmanager, or give its socket with -socket"},
		{[]string{"-socket", socket, "-secret", "wrong", "list"}, exitNotAuthenticated, "refused the secret: give the one"},
		{[]string{"-socket", socket, "list"}, exitNotAuthenticated, "set $PROCESSMANAGER_SECRET, give -secret-file"},
		{[]string{"-socket", socket, "-secret-file", empty + "/none", "list"}, exitNotAuthenticated, empty + "/none"},
	} {
		code, stdout, stderr := pmclient(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) || (code != exitDone) != (stdout == "") {
			t.Errorf("%q: code %d, %q, %s", c.args, code, stdout, stderr)
		}
		if strings.Contains(stderr, "wrong") || strings.Contains(stderr, secret) {
			t.Errorf("%q: the secret is told: %s", c.args, stderr)
		}
	}
}

// Who waits for the end of a run has its exit code, and another for every fault of ours.
func TestWaitingForTheEndHasTheRunsCode(t *testing.T) {
	k := &known{}
	socket := daemon(t, k)
	base := []string{"-socket", socket, "-secret", secret}
	for _, c := range []struct {
		run  process.Run
		code int
	}{
		{process.Run{Cause: process.CauseExit, ExitCode: new(0)}, 0},
		{process.Run{Cause: process.CauseExit, ExitCode: new(7)}, 7},
		{process.Run{Cause: process.CauseSignal, Signal: 9}, 137},
		{process.Run{Cause: process.CauseStop, ExitCode: new(0)}, 0},
		{process.Run{Cause: process.CauseDeadline, ExitCode: new(0)}, 124},
		{process.Run{Cause: process.CauseStart}, 125},
		{process.Run{Cause: process.CauseStart, ExitCode: new(0)}, 125}, // it was not ready, and ended well when it was asked to
		{process.Run{Cause: process.CauseLost}, 125},
	} {
		k.ended = c.run
		k.ended.Number = 3
		for _, args := range [][]string{{"start", "web", "-wait"}, {"start", "-wait", "web"}, {"start", "-wait", "end", "web"}, {"restart", "web", "-wait=end"}} {
			k.asked = nil
			var stdout, stderr strings.Builder
			code := run(t.Context(), append(base, args...), strings.NewReader(""), &stdout, &stderr)
			if code != c.code || stderr.Len() > 0 || !strings.Contains(stdout.String(), "run 3 ended") || !strings.HasSuffix(strings.Join(k.asked, ""), " end") {
				t.Errorf("%v, %q: code %d, %q, %q, asked %q", c.run.Cause, args, code, stdout.String(), stderr.String(), k.asked)
			}
		}
	}
	for _, c := range []struct {
		err  error
		code int
	}{{process.ErrTimeOver, 124}, {process.ErrStart, 1}, {process.ErrNotFound, 125}, {process.ErrInvalid, 125}} {
		k.waitErr = c.err
		if code, _, stderr := pmclient(t, append(base, "wait", "web", "-for", "ready")...); code != c.code || stderr == "" {
			t.Errorf("a wait that came to %v: code %d, %q", c.err, code, stderr)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{append(base, "wait"), "wait needs the name"},
		{append(base, "start", "nobody", "-wait"), "no process 'nobody'"},
		{append(base, "start", "web", "nobody", "-wait"), "no process 'nobody'"},
		{[]string{"-socket", t.TempDir() + "/none", "-secret", secret, "start", "web", "-wait"}, "start processmanager"},
	} {
		if code, _, stderr := pmclient(t, c.args...); code != process.ExitOurFault || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: code %d, %s", c.args, code, stderr)
		}
	}
	if code, _, stderr := pmclient(t, append(base, "start", "web", "-wait=soon")...); code != exitUsage || !strings.Contains(stderr, `wait: "soon" is neither ready nor end`) {
		t.Errorf("code %d, %s", code, stderr)
	}
}

// status is told by its exit code as well.
func TestStatusHasExitCodes(t *testing.T) {
	k := &known{}
	socket := daemon(t, k)
	for state, want := range map[process.State]int{process.Running: 0, process.Scheduled: 0, process.Starting: 0, process.Stopping: 0, process.Stopped: 3, process.Completed: 3, process.Failed: 3} {
		k.state = state
		for _, format := range []string{"text", "json"} {
			var stdout, stderr strings.Builder
			code := run(t.Context(), []string{"-socket", socket, "-secret", secret, "status", "web", "-format", format}, strings.NewReader(""), &stdout, &stderr)
			if code != want || stderr.Len() > 0 || !strings.Contains(stdout.String(), "web") {
				t.Errorf("%v: code %d, %q, %q", state, code, stdout.String(), stderr.String())
			}
		}
	}
	code, stdout, stderr := pmclient(t, "-socket", socket, "-secret", secret, "status", "nobody")
	if code != exitNoProcess || stdout != "" || !strings.Contains(stderr, "no process 'nobody'") {
		t.Errorf("code %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = pmclient(t, "-socket", socket, "-secret", secret, "status", "web", "nobody")
	if code != exitNoProcess || !strings.Contains(stdout, "web") || !strings.Contains(stderr, "no process 'nobody'") {
		t.Errorf("of two: code %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = pmclient(t, "-socket", socket, "-secret", secret, "stop", "nobody", "web", "away")
	if code != exitFailed || strings.Count(stdout, "\n") != 1 || !strings.Contains(stderr, "no process 'nobody'; no process 'away'") {
		t.Errorf("stop of three: code %d, %q, %q", code, stdout, stderr)
	}
}

// A schedule is judged before the daemon is asked, whatever is wrong with it.
func TestBadSchedulesAreUsage(t *testing.T) {
	withoutSecrets(t)
	k := &known{}
	socket := daemon(t, k)
	for _, expr := range []string{"often", "* * * *", "60 * * * *", "0 0 * * 8", "1,,2 * * * *", "@every 0s", "@every 1ms", "0 0 31 2 *", "TZ=UTC", "CRON_TZ=UTC 60 0 * * *"} {
		code, stdout, stderr := pmclient(t, "-socket", socket, "-secret", secret, "start", "web", "-command", "true", "-cron", expr)
		if code != exitUsage || stdout != "" || !strings.HasPrefix(stderr, "pmclient: cron: ") || len(k.asked) > 0 {
			t.Errorf("%q: code %d, asked %q, %s%s", expr, code, k.asked, stdout, stderr)
		}
	}
}

func TestTheSecretIsFound(t *testing.T) {
	withoutSecrets(t)
	socket := daemon(t, &known{})
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := pmclient(t, "list", "-socket", socket, "-secret-file", file); code != exitDone {
		t.Errorf("in a file: code %d", code)
	}
	t.Setenv(client.SecretEnv, secret)
	if code, _, _ := pmclient(t, "list", "-socket", socket); code != exitDone {
		t.Errorf("in the environment: code %d", code)
	}
	os.Unsetenv(client.SecretEnv)
	if err := os.WriteFile(client.SecretBeside(socket), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := pmclient(t, "list", "-socket", socket); code != exitDone {
		t.Errorf("beside the socket: code %d", code)
	}
}

func TestFormats(t *testing.T) {
	k := &known{output: "a\n\xff\x00**ENDRESULT**\nb"}
	t.Setenv(client.SecretEnv, secret)
	socket := daemon(t, k)
	call := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := pmclient(t, append([]string{"-socket", socket}, args...)...)
		if code != exitDone {
			t.Errorf("%q: code %d, %s", args, code, stderr)
		}
		return stdout
	}
	if got := call("log", "web"); got != k.output {
		t.Errorf("the log is %q", got)
	}
	if got := call("start", "web"); got != "process 'web' started: run 1, pid 42\n" {
		t.Errorf("got %q", got)
	}
	for _, command := range []string{"schedule_pause", "schedule-pause"} {
		if got := call(command, "web"); !strings.HasPrefix(got, "process 'web': its schedule is paused") {
			t.Errorf("%s: got %q", command, got)
		}
	}
	if got := call("list"); !strings.HasPrefix(got, "NAME ") || strings.Count(got, "\n") != 2 {
		t.Errorf("got %q", got)
	}
	var one process.Status
	if err := json.Unmarshal([]byte(call("status", "web", "-format", "json")), &one); err != nil || one.PID != 42 {
		t.Errorf("got %+v, %v", one, err)
	}
	var all []process.Status
	if err := json.Unmarshal([]byte(call("list", "-format=json")), &all); err != nil || len(all) != 1 {
		t.Errorf("got %+v, %v", all, err)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}, {"help", "help"}} {
		code, stdout, _ := pmclient(t, args...)
		if code != exitDone || !strings.HasPrefix(stdout, "usage: pmclient [flags] COMMAND") || !strings.Contains(stdout, "exit codes: 0 done") {
			t.Errorf("%q: code %d, %s", args, code, stdout)
		}
		for _, v := range verbs.All() {
			if !strings.Contains(stdout, "  "+v.Short()+" ") {
				t.Errorf("%q: %s is missing", args, v.Short())
			}
		}
	}
	for _, v := range verbs.All() {
		code, stdout, _ := pmclient(t, "help", v.Short())
		if code != exitDone || !strings.HasPrefix(stdout, "usage: pmclient "+v.Short()) {
			t.Errorf("%s: code %d, %s", v.Short(), code, stdout)
		}
		command, _ := commands.Lookup(v.Name)
		for _, p := range command.Flags {
			if !strings.Contains(stdout, " -"+p.Name+" ") {
				t.Errorf("%s: -%s is missing in\n%s", v.Short(), p.Name, stdout)
			}
		}
		for _, flag := range []string{"-h", "-help", "--help"} {
			if _, got, _ := pmclient(t, v.Short(), flag); got != stdout {
				t.Errorf("%s %s: got %s", v.Short(), flag, got)
			}
		}
	}
	for _, command := range []string{"run", "shell"} {
		_, stdout, _ := pmclient(t, "help", command)
		if _, got, _ := pmclient(t, command, "-h"); got != stdout || !strings.HasPrefix(stdout, "usage: pmclient "+command) {
			t.Errorf("%s: %s, and with -h %s", command, stdout, got)
		}
	}
	for command, want := range map[string]string{"logs": "\n  -n, -limit LINES ", "start": "\n  -log  ", "run": "pmclient run FILE\n"} {
		if _, stdout, _ := pmclient(t, "help", command); !strings.Contains(stdout, want) {
			t.Errorf("%s: %q is missing in\n%s", command, want, stdout)
		}
	}
}

func TestScripts(t *testing.T) {
	t.Setenv(client.SecretEnv, secret)
	k := &known{}
	socket := daemon(t, k)
	file := filepath.Join(t.TempDir(), "x.hero")
	if err := os.WriteFile(file, []byte("!!process.stop name:web\n!!process.delete\n    name:web\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"web stop", "web delete"}
	if code, stdout, stderr := pmclient(t, "-socket", socket, "run", file); code != exitDone || !slices.Equal(k.asked, want) || strings.Count(stdout, "\n") != 2 {
		t.Errorf("code %d, asked %q, %s%s", code, k.asked, stdout, stderr)
	}
	for _, command := range []string{"run -", "shell"} {
		k.asked = nil
		args := append([]string{"-socket", socket}, strings.Fields(command)...)
		if code, _, stderr := pmclientWith(t, "!!process.stop name:web\n!!process.delete name:web", args...); code != exitDone || !slices.Equal(k.asked, want) {
			t.Errorf("%s: code %d, asked %q, %s", command, code, k.asked, stderr)
		}
		k.asked = nil
		code, _, stderr := pmclientWith(t, "!!process.stop name:web\n!!process.delete nam:web", args...)
		if code == exitDone || len(k.asked) > 0 || !strings.Contains(stderr, "standard input: line 2, column 18: ") {
			t.Errorf("%s: code %d, asked %q, %s", command, code, k.asked, stderr)
		}
	}
}

// However a log is asked for, one that cannot be read to its end is a failure.
func TestABrokenLogIsAFailure(t *testing.T) {
	k := &known{logErr: process.Errorf(process.CodeInternal, "it is damaged")}
	socket := daemon(t, k)
	for _, command := range []string{"logs web", "log web", "process.log web", "process.log -format json web", "run -"} {
		code, stdout, stderr := pmclientWith(t, "!!process.log name:web", append([]string{"-socket", socket, "-secret", secret}, strings.Fields(command)...)...)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "it is damaged") {
			t.Errorf("%s: code %d, %q, %q", command, code, stdout, stderr)
		}
	}
}

func TestTheLogThatCannotBeReadIsNamed(t *testing.T) {
	socket := daemon(t, &known{logErr: process.LogQuery{Follow: true}.WithoutFile()})
	code, _, stderr := pmclient(t, "-socket", socket, "-secret", secret, "logs", "web", "web")
	if code != exitFailed || !strings.HasPrefix(stderr, "pmclient: web: only the last lines are kept") {
		t.Errorf("code %d, %q", code, stderr)
	}
}

func TestCtrlCSaysThatItGoesOn(t *testing.T) {
	socket := daemon(t, &known{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr strings.Builder
	code := run(ctx, []string{"-socket", socket, "-secret", secret, "list"}, strings.NewReader(""), &stdout, &stderr)
	if want := "pmclient: interrupted; what was begun goes on in the daemon\n"; code != exitFailed || stderr.String() != want {
		t.Errorf("code %d, %q", code, stderr.String())
	}
}

func TestCtrlCInASessionSaysItToo(t *testing.T) {
	c, err := client.Dial(t.Context(), client.Config{Socket: daemon(t, &known{}), Secret: []byte(secret)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out strings.Builder
	if err := execute(ctx, c, "!!process.stop name:web", 80, &out); err != nil || out.String() != "Error: interrupted; what was begun goes on in the daemon\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}

// full is a standard output that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAFailedWriteIsAFailure(t *testing.T) {
	socket := daemon(t, &known{})
	var stderr strings.Builder
	for _, command := range []string{"list", "help"} {
		code := run(t.Context(), []string{"-socket", socket, "-secret", secret, command}, strings.NewReader(""), full{}, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%s: code %d, %q", command, code, stderr.String())
		}
	}
}

// The output of a command is ours, and its exit code; how it ended is told where its own code
// does not say it.
func TestExecStandsForItsCommand(t *testing.T) {
	k := &known{}
	base := []string{"-socket", daemon(t, k), "-secret", secret, "exec"}
	for _, c := range []struct {
		run  process.Run
		code int
		says string
	}{
		{process.Run{Number: 1, Cause: process.CauseExit, ExitCode: new(0)}, 0, ""},
		{process.Run{Number: 1, Cause: process.CauseExit, ExitCode: new(7)}, 7, ""},
		{process.Run{Number: 1, Cause: process.CauseStop, Signal: 15}, 143, ""},
		{process.Run{Number: 1, Cause: process.CauseDeadline, Signal: 15}, 124, "run 1 ended: deadline"},
		{process.Run{Number: 1, Cause: process.CauseLost}, 125, "run 1 ended: lost"},
	} {
		k.ended, k.asked = c.run, nil
		var stdout, stderr strings.Builder
		code := run(t.Context(), append(base, "-rm", "job", "--", "make", "all"), strings.NewReader(""), &stdout, &stderr)
		if code != c.code || stdout.String() != "hello\n" || !strings.Contains(stderr.String(), c.says) || (c.says == "") != (stderr.Len() == 0) {
			t.Errorf("%v: code %d, %q, %q", c.run.Cause, code, stdout.String(), stderr.String())
		}
		if want := `exec job "exec make all" rm=true`; !slices.Contains(k.asked, want) {
			t.Errorf("asked %q, want %q", k.asked, want)
		}
	}
}
