package integration

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// spoilStore has the store take nothing more, as on a full disk, until mend is called.
func (d *daemon) spoilStore() (mend func()) {
	d.t.Helper()
	path := d.state + "/processes.db"
	if err := errors.Join(os.WriteFile(path+".other", nil, 0o600), os.Link(path, path+".away"), os.Rename(path+".other", path)); err != nil {
		d.t.Fatal(err)
	}
	return func() {
		d.t.Helper()
		if err := os.Rename(path+".away", path); err != nil {
			d.t.Fatal(err)
		}
	}
}

// A start that was answered with an error because its run could not be stored never was: no
// later worker makes up for it. What it has ended has ended.
func TestAStartThatCouldNotBeStoredIsNotMadeLater(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "runs", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "rests", Command: "exec sleep 1000"})
	d.stop("rests")
	mend := d.spoilStore()
	for _, name := range []string{"runs", "rests"} {
		_, err := d.client().Restart(d.context(), name, "")
		if !isCode(err, process.CodeStore) {
			t.Fatalf("restart %s: %v", name, err)
		}
		if s := d.status(name); s.State != process.Failed || !strings.Contains(err.Error(), s.Error) || s.Error == "" || s.LastRun == nil || s.LastRun.Number != 1 || s.LastRun.Cause != process.CauseStop {
			t.Errorf("%s is %+v after %v", name, s, err)
		}
	}
	mend()
	d.killWorker()
	for _, name := range []string{"runs", "rests"} {
		if s := d.rest(name); s.State != process.Stopped || s.Number != 1 || s.Error != "" {
			t.Errorf("%s is %+v", name, s)
		}
	}
	d.killWorker()
	for _, name := range []string{"runs", "rests"} {
		if s := d.rest(name); s.State != process.Stopped || s.Number != 1 {
			t.Errorf("%s is %+v", name, s)
		}
		if s, err := d.client().Restart(d.context(), name, ""); err != nil || s.Number != 2 || s.State != process.Running {
			t.Errorf("%s is %+v, %v", name, s, err)
		}
		if runs := d.history(name); len(runs) != 1 {
			t.Errorf("%s has run %+v", name, runs)
		}
		d.stop(name)
	}
}
