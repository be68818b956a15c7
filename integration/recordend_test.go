package integration

import (
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The end of a run ends its last line for whoever reads or follows, whichever worker it
// is; what a run wrote is exact in the answer for that run.
func TestTheEndOfARunEndsALine(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Logging: process.Logging{Log: true}, Command: `if [ -e second ]; then printf hello; else printf 'hello\nworld'; : >second; fi`})
	d.rest("x")
	d.killWorker()
	if _, err := d.client().Restart(d.context(), "x", ""); err != nil {
		t.Fatal(err)
	}
	d.await("x", "the second run over", func(s process.Status) bool { return s.Number == 2 && s.State == process.Completed })
	for args, want := range map[string]string{
		"logs x":                   "hello\nworld\nhello",
		"logs -n 1 x":              "hello",
		"logs -n 2 x":              "world\nhello",
		"logs -grep ^hello$ x":     "hello\nhello",
		"logs -grep world$ -n 1 x": "world\n",
		"logs -run 1 x":            "hello\nworld",
	} {
		if got := d.mustClient(strings.Fields(args)...); got != want {
			t.Errorf("%s: %q, not %q", args, got, want)
		}
	}
}
