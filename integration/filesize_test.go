package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A daemon whose files may not grow beyond a limit keeps all output, in more files.
func TestOutputGoesOnWhereFilesMayNotGrow(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{Wrap: []string{"/bin/sh", "-c", `ulimit -f 2048 && exec "$0" "$@"`}}) // of 512 bytes
	worker := d.worker()
	d.start(process.Spec{Name: "x", Logging: process.Logging{Log: true, LogMaxFiles: 100}, Command: "i=0; until [ $i = 300000 ]; do i=$((i+1)); echo $i; done; echo done"})
	d.said("x", "\ndone\n")
	s := d.rest("x")
	if s.LogDropped != 0 || s.ExitCode == nil || *s.ExitCode != 0 || d.worker() != worker {
		t.Errorf("%+v", s)
	}
	lines := strings.Split(strings.TrimSuffix(d.logs("x", 0), "\n"), "\n")
	for i, line := range lines[:len(lines)-1] {
		if line != fmt.Sprint(i+1) {
			t.Fatalf("line %d is %q", i+1, line)
		}
	}
	if len(lines) != 300001 {
		t.Errorf("%d lines", len(lines))
	}
}
