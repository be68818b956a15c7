package integration

import (
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// grown is by how much the worker has grown, and fails the test if that is more than
// may be.
func (d *daemon) grown(before, most int, what string) {
	d.t.Helper()
	switch n := anonymous(d.t, d.worker()) - before; {
	case n > most && !raceEnabled:
		d.t.Errorf("%s: the worker has grown by %d KiB, at most %d", what, n>>10, most>>10)
	default:
		d.t.Logf("%s: the worker has grown by %d KiB", what, n>>10)
	}
}

func TestHugeRequestsCostLittleMemory(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.served()
	const mebibyte = 1 << 20
	long := strings.Repeat("x", mebibyte-100)
	before := anonymous(t, d.worker())
	for _, action := range []string{
		"!!" + long, "!!help " + long, "!!process.list " + long, "!!process.list " + strings.Repeat("a ", len(long)/2),
		"!!process.start name:a command:true cron:'" + long + "'", "!!process.log name:a grep:'" + strings.Repeat("(a{1000})", len(long)/9) + "'",
	} {
		if answer := d.session(t).ask(action); len(answer) > 8<<10 || !strings.HasPrefix(answer, "Error: ") {
			t.Errorf("%.40q: %d bytes: %.200q", action, len(answer), answer)
		}
	}
	d.grown(before, 32*mebibyte, "six requests of 1 MiB")
	if all := d.list(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestFollowersThatTakeNothingCostLittleMemory(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	// Each byte of it has six in JSON, and each line a time of 25.
	d.start(process.Spec{Name: "p", Logging: process.Logging{Log: true}, Command: `i=0; while [ $i -lt 4000 ]; do printf '\001\n%.0s' 1 2 3 4 5 6 7 8 9 10; i=$((i+1)); done
		head -c 4000000 /dev/zero | tr '\0' '\001'; echo; echo end; exec sleep 1000`})
	d.said("p", "end\n")
	before := anonymous(t, d.worker())
	const followers = 20
	for i := range followers {
		w := d.session(t)
		w.send("!!process.log name:p from:0 follow:true " + []string{"", "times:true", "format:json", "format:json times:true"}[i%4] + "\n\n")
		eventually(t, "the socket is full", func() bool { return unread(t, w.conn) > 100<<10 })
	}
	d.grown(before, followers<<20, "twenty followers")
	d.served()
}
