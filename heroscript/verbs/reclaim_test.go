package verbs

import (
	"errors"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestReclaimSaysHowMuchItWas(t *testing.T) {
	const mib = 1 << 20
	all := process.Reclaimed{Name: "web", Asked: 100 * mib, Before: 300 * mib, After: 200 * mib, All: true}
	less := process.Reclaimed{Name: "db", Asked: 100 * mib, Before: 300 * mib, After: 290 * mib}
	late := process.Reclaimed{Name: "job", Asked: 100 * mib, Before: 300 * mib, After: 310 * mib, Late: true}
	gone := process.Reclaimed{Name: "gone", Err: process.Errorf(process.CodeNotRunning, "process 'gone' is stopped")}
	for _, c := range []struct {
		list         []process.Reclaimed
		script, want string
		err          error
	}{
		{[]process.Reclaimed{all}, "!!process.reclaim name:web size:100M", "process 'web': 300.0 MiB of memory before, 200.0 MiB now: 100.0 MiB less\n", nil},
		{[]process.Reclaimed{less}, "!!process.reclaim name:db size:100M", "process 'db': 300.0 MiB of memory before, 290.0 MiB now: 10.0 MiB less; 100.0 MiB were asked for, and the kernel found no more that can be taken away\n", nil},
		{[]process.Reclaimed{late}, "!!process.reclaim name:job size:100M", "process 'job': 300.0 MiB of memory before, 310.0 MiB now: 0 B less; the kernel was still at it, and 100.0 MiB were asked for\n", nil},
		{[]process.Reclaimed{gone}, "!!process.reclaim name:gone size:100M", "Error: process 'gone' is stopped\n", process.ErrNotRunning},
		{[]process.Reclaimed{all, gone}, "!!process.reclaim name:* size:100M", "process 'web': 300.0 MiB of memory before, 200.0 MiB now: 100.0 MiB less\nError: process 'gone' is stopped\n", nil},
		{[]process.Reclaimed{all}, "!!process.reclaim name:web size:100M format:json", `{"name":"web","asked_bytes":104857600,"memory_before_bytes":314572800,"memory_after_bytes":209715200,"reclaimed_bytes":104857600,"complete":true}` + "\n", nil},
		{[]process.Reclaimed{late, gone}, "!!process.reclaim name:* size:100M format:json", `[{"name":"job","asked_bytes":104857600,"memory_before_bytes":314572800,"memory_after_bytes":325058560,"reclaimed_bytes":0,"complete":false,"time_over":true},{"name":"gone","error":"process 'gone' is stopped","code":"not_running"}]` + "\n", nil},
	} {
		if got, err := asText(t, &recorder{reclaimed: c.list}, c.script, 0); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, got %swant %s", c.script, err, got, c.want)
		}
	}
}
