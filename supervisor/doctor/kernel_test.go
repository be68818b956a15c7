package doctor

import (
	"strings"
	"testing"
)

func TestKernelsBefore514AreTooOld(t *testing.T) {
	for _, c := range []struct {
		release string
		kill    Kill
		old     bool
	}{
		{"5.14.0-427.el9.x86_64", KillUnknown, false},
		{"5.14", KillThere, false},
		{"5.15.0-1", KillUnknown, false},
		{"6.1.0-50-cloud-amd64", KillUnknown, false},
		{"10.0.1", KillUnknown, false},
		{"5.13.19", KillUnknown, true},
		{"5.10.0-30-amd64", KillUnknown, true},
		{"5.10.0-30-amd64", KillMissing, true},
		{"5.4.0-150-generic", KillUnknown, true},
		{"4.18.0-553.el8.x86_64", KillUnknown, true},
		{"3.10.0", KillMissing, true},
		{"4.18.0-553.el8.x86_64", KillThere, false}, // a distribution may have brought it there
		{"6.1.0", KillMissing, true},
		{"custom", KillUnknown, false}, // nothing says so
		{"custom", KillMissing, true},
		{"", KillThere, false},
	} {
		err := CheckKernel(c.release, c.kill)
		if (err != nil) != c.old {
			t.Errorf("%q, kill %v: %v", c.release, c.kill, err)
		}
		if err != nil {
			want := "kernel " + c.release + " has no cgroup.kill, without which trees cannot be ended: Linux 5.14 or later is needed"
			if err.Error() != want || strings.Contains(want, "\n") {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		}
	}
}
