package integration

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// lineCount counts the lines that are written to it.
type lineCount struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (c *lineCount) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data.Write(p)
}

// endsWith is lines at a glance.
func (c *lineCount) endsWith(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.HasSuffix(c.data.Bytes(), []byte(text))
}

func (c *lineCount) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Split(strings.TrimSuffix(c.data.String(), "\n"), "\n")
}

// A follower sees every line once and in order: over rotations, over the death and
// the upgrade of the worker, and over a restart of the process, which goes on counting.
func TestFollowerSeesEveryLineOnce(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const last = 4000
	command := fmt.Sprintf(`
		exec 2>/dev/null # where the shell says that its sleep was ended
		stop=; trap 'stop=1' TERM
		i=$(cat at 2>/dev/null || echo 0)
		while [ -z "$stop" ] && [ $i -lt %d ]; do
			echo "line $i"; i=$((i+1)); [ $((i %% 20)) != 0 ] || sleep 0.02
		done
		echo $i > at
		[ $i -lt %d ] || exec sleep 1000`, last, last)
	d.start(process.Spec{Name: "count", Command: command, Logging: process.Logging{Log: true, LogMaxSize: 4 << 10, LogMaxFiles: 1000}})

	followed, stop := context.WithCancel(d.context())
	defer stop()
	var seen lineCount
	ended := make(chan error, 1)
	follower := d.dial(t)
	go func() {
		_, err := follower.Log(followed, "count", process.LogQuery{Follow: true}, &seen)
		ended <- err
	}()
	await := func(what string, ok func() bool) {
		t.Helper()
		eventually(t, what, func() bool {
			select {
			case err := <-ended:
				t.Fatalf("following has ended: %v", err)
			default:
			}
			return ok()
		})
	}
	for i := range 6 {
		await("some more lines", func() bool { return len(seen.lines()) > (i+1)*last/8 })
		var err error
		switch i % 3 {
		case 0:
			d.killWorker()
		case 1:
			_, err = d.client().Restart(d.context(), "count", "")
		case 2:
			_, err = d.client().Upgrade(d.context(), 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	await("the last line", func() bool {
		lines := seen.lines()
		return lines[len(lines)-1] == fmt.Sprintf("line %d", last-1)
	})
	stop()
	<-ended
	for i, line := range seen.lines() {
		if want := fmt.Sprintf("line %d", i); line != want {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	// The same is in the files, over all that were rotated.
	if kept := d.logs("count", 2*last); strings.Count(kept, "\n") != last {
		t.Errorf("%d lines are kept, not %d", strings.Count(kept, "\n"), last)
	}
}

func TestLogsAreFoundByTimeRunAndExpression(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "p", Command: "echo one; echo two $PROCESSMANAGER_RUN", Logging: process.Logging{Log: true}})
	d.rest("p")
	between := time.Now()
	if _, err := d.client().Start(d.context(), process.Spec{Name: "p"}); err != nil {
		t.Fatal(err)
	}
	d.rest("p")
	for args, want := range map[string]string{
		"-n 1":             "two 2\n",
		"-run 1":           "one\ntwo 1\n",
		"-grep ^two":       "two 1\ntwo 2\n",
		"-run 2 -grep ^on": "one\n",
		"-since " + between.Format(time.RFC3339Nano): "one\ntwo 2\n",
		"-until " + between.Format(time.RFC3339Nano): "one\ntwo 1\n",
		"-since 1h -n 3": "two 1\none\ntwo 2\n",
		"-since 0s":      "",
	} {
		if got := d.mustClient(append(append([]string{"logs"}, strings.Fields(args)...), "p")...); got != want {
			t.Errorf("logs %s: %q, want %q", args, got, want)
		}
	}
	stamped := d.mustClient("logs", "-t", "-n", "1", "p")
	stamp, rest, _ := strings.Cut(stamped, " ")
	when, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil || rest != "two 2\n" || when.Before(between.Add(-time.Second)) || when.After(time.Now()) {
		t.Errorf("with times: %q, %v", stamped, err)
	}
	if r := d.pmclient("logs", "-grep", "(", "p"); r.code != 2 || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("a bad expression: code %d, %q", r.code, r.stderr)
	}
}
