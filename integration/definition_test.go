package integration

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A definition whose zone has gone is failed, and says so wherever one looks, until the
// zone is back.
func TestScheduleInAZoneThatHasGoneIsFailed(t *testing.T) {
	t.Parallel()
	dir := zoneDir(t, time.Now().Add(-1000*time.Hour).Unix(), 7200, 3600)
	d := startDaemon(t, setup{Env: []string{"ZONEINFO=" + dir}})
	const expr = "CRON_TZ=Made/Zone 0 3 * * *"
	for _, name := range []string{"zoned", "stopped", "deleted"} {
		d.start(process.Spec{Name: name, Command: "true", Schedule: process.Schedule{Cron: expr}, Logging: process.Logging{Log: true}})
	}
	d.start(process.Spec{Name: "other", Command: "true", Schedule: process.Schedule{Cron: "0 3 * * *"}})
	missed := d.status("zoned").NextTime
	d.end(unix.SIGTERM)
	file := dir + "/Made/Zone"
	if err := os.Rename(file, file+".gone"); err != nil {
		t.Fatal(err)
	}
	d.launch()
	const reason = `"Made/Zone" is not a time zone`
	s := d.status("zoned")
	if s.State != process.Failed || !strings.Contains(s.Error, reason) || !s.NextTime.IsZero() || s.Cron != expr {
		t.Errorf("%+v", s)
	}
	for _, verb := range []string{"start", "restart"} {
		if r := d.pmclient(verb, "zoned"); r.code != 1 || !strings.Contains(r.stderr, reason) || strings.Contains(r.stdout+r.stderr, "0001") {
			t.Errorf("%s: %+v", verb, r)
		}
	}
	if r := d.pmclient("doctor"); !strings.Contains(joined(r.stdout), "'zoned'") || !strings.Contains(joined(r.stdout), reason) {
		t.Errorf("doctor: %+v", r)
	}
	if r := d.pmclient("status", "zoned"); !strings.Contains(joined(r.stdout), reason) {
		t.Errorf("status: %+v", r)
	}
	if out := d.mustClient("list"); strings.Count(out, "failed") != 3 || strings.Count(out, "scheduled") != 1 {
		t.Errorf("list:\n%s", out)
	}
	if s := d.status("other"); s.State != process.Scheduled || s.NextTime.IsZero() {
		t.Errorf("%+v", s)
	}
	d.mustClient("stop", "stopped")
	d.mustClient("delete", "deleted")
	d.killWorker() // what the store has of it was not changed meanwhile
	if s := d.status("zoned"); s.State != process.Failed || !strings.Contains(s.Error, reason) {
		t.Errorf("%+v", s)
	}

	if err := os.Rename(file+".gone", file); err != nil {
		t.Fatal(err)
	}
	d.killWorker()
	if s := d.status("zoned"); s.State != process.Scheduled || !s.NextTime.Equal(missed) || s.Error != "" {
		t.Errorf("the zone is back: %+v, want next %v", s, missed)
	}
	if s := d.status("stopped"); s.State != process.Stopped {
		t.Errorf("it was stopped: %+v", s)
	}
	d.mustClient("doctor")
}

// A start looks whether the zone is back.
func TestStartMendsADefinitionWhoseZoneIsBack(t *testing.T) {
	t.Parallel()
	dir := zoneDir(t, time.Now().Add(-1000*time.Hour).Unix(), 7200, 3600)
	d := startDaemon(t, setup{Env: []string{"ZONEINFO=" + dir}})
	next := d.start(process.Spec{Name: "zoned", Command: "true", Schedule: process.Schedule{Cron: "CRON_TZ=Made/Zone 0 3 * * *"}}).NextTime
	d.end(unix.SIGTERM)
	file := dir + "/Made/Zone"
	if err := os.Rename(file, file+".gone"); err != nil {
		t.Fatal(err)
	}
	d.launch()
	if r := d.pmclient("start", "zoned"); r.code != 1 {
		t.Errorf("%+v", r)
	}
	if err := os.Rename(file+".gone", file); err != nil {
		t.Fatal(err)
	}
	d.mustClient("start", "zoned")
	if s := d.status("zoned"); s.State != process.Scheduled || !s.NextTime.Equal(next) || s.Error != "" {
		t.Errorf("%+v, want next %v", s, next)
	}
}

// A record that cannot be read is that of one process, which others do not pay for: its
// tree lives on and can be ended, and what the store has of it stays until it is deleted.
func TestRecordThatCannotBeReadIsKeptAside(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	records := map[string]string{
		"cut": `{"spec":{"name":"cut","comm`, "garbage": "\xff\x00", "later": `{"spec":{"name":"later","command":"true","stop_signal":"transcendent"}}`,
		"other": `{"spec":{"name":"web","command":"true"}}`, "invalid": `{"spec":{"name":"invalid","command":"","log_enabled":true}}`,
	}
	pids := map[string]int{}
	for name := range records {
		d.start(process.Spec{Name: name, Command: "echo hello; exec sleep 1000", Logging: process.Logging{Log: true}})
		d.said(name, "hello")
		pids[name] = d.status(name).PID
	}
	web := d.start(process.Spec{Name: "web", Command: "exec sleep 1000"})
	d.finished("rest", "true")
	d.crash()
	for name, text := range records {
		d.put("definitions", name, text)
	}
	d.put("targets", "rest", "{")
	d.put("definitions", "../../x", "{}") // nobody's name
	d.launch()
	if s := d.status("web"); s.State != process.Running || s.PID != web.PID {
		t.Errorf("%+v", s)
	}
	if s := d.status("rest"); s.State != process.Failed || !strings.Contains(s.Error, "process 'rest' cannot be started: what the store has of it cannot be read: ") {
		t.Errorf("%+v", s)
	}
	if all := d.list(); len(all) != len(records)+2 {
		t.Errorf("%+v", all)
	}
	for name, text := range records {
		if s := d.status(name); s.State != process.Running || s.PID != pids[name] || s.Number != 1 {
			t.Errorf("its tree lives on: %+v", s)
		}
		for _, verb := range []string{"start", "restart"} {
			if r := d.pmclient(verb, name); r.code != 1 || !strings.Contains(r.stderr, "process '"+name+"' cannot be started: ") {
				t.Errorf("%s %s: %+v", verb, name, r)
			}
		}
		if r := d.pmclient("doctor"); !strings.Contains(joined(r.stdout), "process '"+name+"' cannot be started: ") {
			t.Errorf("doctor: %+v", r)
		}
		d.stop(name)
		d.nobodyLeft(name, 1)
		if s := d.status(name); s.State != process.Failed || !strings.Contains(s.Error, "cannot be started") {
			t.Errorf("%+v", s)
		}
		if name == "invalid" { // it could be read, and tells how the run ended now
			continue
		}
		if got, _, _ := d.stored(name); got != "" && got != text { // empty: the store is in use
			t.Errorf("%s: the store has %q", name, got)
		}
	}
	d.end(unix.SIGTERM)
	for name, text := range records {
		if got, _, _ := d.stored(name); name != "invalid" && got != text {
			t.Errorf("%s: the store has %q", name, got)
		}
	}
	d.launch()
	for name := range records {
		d.mustClient("delete", name)
		if !gone(d.state + "/logs/" + name) {
			t.Errorf("the log of %s is still there", name)
		}
	}
	d.mustClient("delete", "rest")
	d.mustClient("delete", "web")
	if all := d.list(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	d.mustClient("doctor")
}

// joined is text without the places at which it was broken into lines.
func joined(text string) string { return strings.Join(strings.Fields(text), " ") }

// A TZ that means nothing here is UTC to the library, in silence.
func TestLocalZoneThatIsNotKnownIsSaid(t *testing.T) {
	t.Parallel()
	for _, tz := range []string{"Mars/X", "CET-1CEST,M3.5.0,M10.5.0/3"} {
		d := startDaemon(t, setup{Env: []string{"TZ=" + tz}})
		want := `TZ is "` + tz + `", which is not a time zone that this host knows: schedules and times are in UTC`
		if !d.log.await(0, want, d.ended) {
			t.Errorf("log: %s", d.log.since(0))
		}
		if out := joined(d.mustClient("doctor")); !strings.Contains(out, want) {
			t.Errorf("doctor: %s", out)
		}
	}
	d := startDaemon(t, setup{Env: []string{"TZ=Europe/Brussels"}})
	if text := d.log.since(0); strings.Contains(text, "time zone") || strings.Contains(d.mustClient("doctor"), "time zone") {
		t.Error(text)
	}
	if s := d.start(process.Spec{Name: "x", Command: "true", Schedule: process.Schedule{Cron: "0 3 * * *"}}); !slices.Contains([]int{1, 2}, s.NextTime.UTC().Hour()) {
		t.Errorf("next at %v", s.NextTime)
	}
}
