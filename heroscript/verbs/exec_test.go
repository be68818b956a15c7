package verbs

import (
	"slices"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What has a process run by itself is not of a command in the foreground: the help does not
// offer it, and who gives it is told why it cannot be.
func TestExecHasNothingOfRunsByThemselves(t *testing.T) {
	v, _ := Lookup(execVerb)
	var offered []string
	for _, p := range v.AllParams() {
		offered = append(offered, p.Name)
	}
	given := map[string]string{
		"cron": "@daily", "tz": "UTC", "jitter": "5", "overlap": "allow", "overlap_max": "3", "catchup": "all", "catchup_window": "60",
		"restart": "always", "restart_delay": "2", "restart_max_delay": "90", "restart_limit": "3", "restart_window": "60", "autostart": "true",
	}
	var refused []string
	for _, p := range v.Refused() {
		refused = append(refused, p.Name)
		if slices.Contains(offered, p.Name) {
			t.Errorf("%s is offered", p.Name)
		}
		a := NewAction(execVerb, "command", "true", p.Name, given[p.Name])
		if p.Name == "overlap_max" {
			a = NewAction(execVerb, "command", "true", p.Name, given[p.Name], "overlap", "allow")
		}
		if err := Check(a); err == nil || !strings.Contains(err.Error(), "a command in the foreground runs once, now") {
			t.Errorf("%s: got %v", p.Name, err)
		}
	}
	if len(refused) != len(given) {
		t.Errorf("refused are %q", refused)
	}
	for _, name := range []string{"command", "deadline", "success_codes", "env"} {
		if !slices.Contains(offered, name) {
			t.Errorf("%s is not offered", name)
		}
	}
	if err := Check(NewAction(execVerb, "command", "true", "restart", string(process.RestartNo), "overlap", "skip")); err != nil {
		t.Error("what is so anyway is refused:", err)
	}
	if other, _ := Lookup("start"); len(other.Refused()) != 0 {
		t.Error("start refuses some of its own")
	}
}
