package integration

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// rambler says things to the daemon that somebody may say: actions that make sense,
// others that nearly do, and garbage.
type rambler struct {
	*rand.Rand
	dir     string // of the daemon
	answers int    // that were received
}

var (
	someNames    = []string{"a", "b", "c", "web", "x.1", "A-b_c:d@e", "n0", "n1", "n2", "n3"}
	someCommands = []string{"true", "exit 3", "echo hello", "exec sleep 1000", "sleep 1000 & exec sleep 1000", "head -c 100000 /dev/zero", "printf 'no line end'", "kill -9 $$", "no-such-command-at-all", "trap '' HUP\r\necho two\nlines"}
	someTexts    = []string{"", "0", "1", "-1", "9", "0.5", "1e9", "99999999999999999999", "true", "no", "json", "text", "TERM", "KILL", "64M", "10", "4096", "1h",
		"@every 1s", "@every -5s", "0 0 31 2 *", "* * * * *", "CRON_TZ=Pacific/Chatham 0 3 * * *", "2026-11-28T00:00:00Z", "(", "a{1000}{1000}", ".*", "\x1b[2J", "ä\u202e", "\xff\xfe", "..", "/", "%s%n"}
)

func one[T any](r *rambler, of []T) T { return of[r.IntN(len(of))] }

// action is one for the table of verbs. No random text gets to a shell.
func (r *rambler) action() string {
	all := verbs.All()
	v := &all[r.IntN(len(all))]
	if v.Name == "upgrade" || v.Name == "doctor" && r.IntN(10) > 0 {
		v, _ = verbs.Lookup("process.start")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "!!%s", v.Name)
	for _, p := range v.AllParams() {
		value := one(r, someTexts)
		often := 5
		switch p.Name {
		case "name":
			often = 50
			if r.IntN(20) > 0 {
				value = one(r, someNames)
			}
		case "command":
			often, value = 40, one(r, someCommands)
		case "dir":
			value = r.dir
		case "follow", "wait": // they may have no end
			continue
		case "timeout":
			often, value = 50, "0.2"
		}
		if v.Name == "process.exec" { // nothing else pauses it, or lets it go on
			switch p.Name {
			case "name":
				value = one(r, []string{"e0", "e1", "e2", "e3"})
			case "deadline":
				often, value = 50, "0.5"
			}
		}
		if r.IntN(50) >= often {
			continue
		}
		fmt.Fprintf(&b, " %s:'%s'", p.Name, strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), `'`, `\'`))
	}
	return b.String() + "\n\n"
}

// garbage is bytes in which nothing reaches a shell.
func (r *rambler) garbage() string {
	switch r.IntN(8) {
	case 0:
		b := make([]byte, r.IntN(500))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b) + "\n\n"
	case 1:
		return "!!process.list format:" + strings.Repeat(one(r, someTexts), r.IntN(2000)) + "\n\n"
	case 2:
		return strings.Repeat("\xff\xfa\x1f\x00\x01\x00\x01\xff\xf0\xff\xfb\x18", r.IntN(20)) + "!!process.list\n\n"
	case 3:
		return "!!process.status name:'never closed\n\n"
	case 4:
		return strings.Repeat("!", r.IntN(30)) + strings.Repeat("x", r.IntN(1<<16)) + "\n\n"
	case 5:
		return one(r, []string{"!!help\n", "!!process.help\n\n", "!!interactive\nlis\t\x1b[A\x03\n", "list\n", "\x04", "#\n", "// c\n\n", "!!process.start name:a command:\n\n", "!!.\n\n", "!!!\n\n"})
	}
	text := []byte("!!process.log name:" + one(r, someNames) + " lines:10 grep:'x' since:'1h'\n\n")
	for range 1 + r.IntN(4) {
		text[r.IntN(len(text))] = byte(r.Uint32())
	}
	return string(text) + "\n\n"
}

// ramble is one connection: some actions, and an end of one kind or another.
func (r *rambler) ramble(socket string, actions int) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * patience))
	secret := theSecret
	if r.IntN(20) == 0 {
		secret = one(r, someTexts)
	}
	var said bytes.Buffer
	said.WriteString(secret + "\n")
	for range actions {
		if r.IntN(3) > 0 {
			said.WriteString(r.action())
		} else {
			said.WriteString(r.garbage())
		}
	}
	if r.IntN(4) == 0 { // it hangs up in the middle of a word
		conn.Write(said.Bytes()[:r.IntN(said.Len())])
		return nil
	}
	go func() {
		conn.Write(said.Bytes())
		conn.(*net.UnixConn).CloseWrite()
	}()
	all, err := io.ReadAll(conn) // to the last answer
	r.answers += bytes.Count(all, []byte("**ENDRESULT**"))
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		return fmt.Errorf("no end of answers to %.2000q", said.String())
	}
	return nil
}

// footprint is what a worker holds.
type footprint struct{ pid, rss, files, threads int }

func (d *daemon) footprint() (f footprint) {
	f.pid = d.worker()
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.pid))
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch n, _ := strconv.Atoi(words[1]); words[0] {
		case "VmRSS:":
			f.rss = n
		case "Threads:":
			f.threads = n
		}
	}
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", f.pid))
	f.files = len(files)
	return f
}

// Whatever clients say, the worker is the same one afterwards, and holds no more than
// after the first tenth of it. PM_SEED repeats what was said.
func TestRandomClientsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if text := os.Getenv("PM_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("PM_SEED=%d", seed)
	actions := 10_000
	if testing.Short() {
		actions = 2000
	}
	const clients, each = 4, 20 // actions a connection
	d := startDaemon(t, setup{Wrap: instead(plainProgram(t))})
	ramble := func(part uint64, actions int) {
		t.Helper()
		var left, answers atomic.Int64
		left.Store(int64(actions))
		var all sync.WaitGroup
		for c := range uint64(clients) {
			all.Go(func() {
				r := &rambler{Rand: rand.New(rand.NewPCG(seed, part*clients+c)), dir: d.dir}
				for left.Add(-each) >= 0 && !t.Failed() {
					if err := r.ramble(d.socket, each); err != nil {
						t.Error(err)
					}
				}
				answers.Add(int64(r.answers))
			})
		}
		all.Wait()
		if n := int(answers.Load()); n < actions/4 {
			t.Errorf("%d answers to %d actions", n, actions)
		}
		for _, s := range d.list() {
			if err := d.client().Delete(d.context(), s.Name); err != nil {
				t.Errorf("delete %s: %v", s.Name, err)
			}
		}
		d.hangUp()
		if t.Failed() {
			t.FailNow()
		}
	}
	// What watches over notify sockets is there from the first one on.
	d.start(process.Spec{Name: "notifies", Command: "exec sleep 1000", Probing: process.Probing{Ready: "notify"}})
	ramble(0, actions/10)
	before := d.footprint()
	ramble(1, actions-actions/10)
	const leeway = 8 << 10 // KiB that the runtime gives back in its own time
	var after footprint
	defer func() { t.Logf("before %+v, after %+v", before, after) }()
	eventually(t, "it holds what it held", func() bool {
		after = d.footprint()
		return after.pid != before.pid || after.rss < before.rss+leeway && after.files <= before.files && after.threads <= before.threads+16
	})
	if after.pid != before.pid {
		t.Errorf("the worker was %d, is %d", before.pid, after.pid)
	}
	if groups := pidsIn(d.runs()); len(groups) > 0 {
		t.Errorf("processes are left: %v", groups)
	}
}
