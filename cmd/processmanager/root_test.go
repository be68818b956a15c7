package main

import "testing"

// What is alive is never left behind, and no root is taken in the group of a systemd unit,
// whose next start would fail.
func TestSourceOfTheDelegatedRoot(t *testing.T) {
	for what, c := range map[string]struct {
		s    situation
		want source
	}{
		"no systemd":                   {situation{}, fromOwn},
		"no systemd, an earlier start": {situation{recorded: true}, fromRecord},
		"no systemd, its trees live":   {situation{recorded: true, alive: true}, fromRecord},
		"-cgroup":                      {situation{given: true, systemd: true, recorded: true, alive: true}, fromFlag},
		"systemd":                      {situation{systemd: true}, fromScope},
		"systemd, a scope that it has delegated to us": {situation{systemd: true, own: true}, fromOwn},
		"systemd, our scope lives":                     {situation{systemd: true, recorded: true, scope: true, alive: true}, fromRecord},
		"systemd, our scope is about to go":            {situation{systemd: true, recorded: true, scope: true, unit: true}, fromScope},
		"systemd, a unit's group of a former version":  {situation{systemd: true, recorded: true, unit: true}, fromScope},
		"systemd, and trees live there":                {situation{systemd: true, recorded: true, unit: true, alive: true}, fromRecord},
		"systemd, a group that is not systemd's":       {situation{systemd: true, recorded: true}, fromRecord},
		"an ordinary user without systemd, in a unit":  {situation{recorded: true, unit: true}, fromRecord},
	} {
		if got := c.s.source(); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}
