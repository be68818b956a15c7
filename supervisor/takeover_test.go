package supervisor

import (
	"os"
	"testing"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// A number that was given out for a run that never was is that of none, also when the keeper
// that knew so has died too: stopped is stopped.
func TestARunThatNeverWasIsNotLostLater(t *testing.T) {
	w := newWorld(t)
	defer func() { w.s.closeParts() }()
	w.s.origin = store.Origin{Boot: "boot", Keeper: "1:1"}
	kept := keptOf(spec("web"))
	kept.Target = store.Target{State: process.Stopped, Stopped: true, Run: 1, Origin: w.s.origin}
	w.s.resume(kept, nil, nil, nil, nil)
	p := w.s.names["web"]
	p.disk.definition = true // as a worker before had put it there
	p.publish()
	if got := p.view.Load().state; got != process.Stopping {
		t.Errorf("before anything is on disk it is shown as %v", got)
	}
	p.turnsUntil(t, func() bool { return len(p.disk.writes) == 0 && !p.settling })
	p.publish()
	if v := p.view.Load(); v.state != process.Stopped || v.last != nil {
		t.Errorf("it is %v, and its last run %v", v.state, v.last)
	}
	contents := w.reopened(t)
	w.s.origin.Keeper = "2:2"
	w.s.resume(contents.Processes[0], nil, nil, nil, nil)
	if v := w.s.names["web"].view.Load(); v.state != process.Stopped || v.last != nil {
		t.Errorf("after the death of the keeper it is %v, and its last run %v", v.state, v.last)
	}
}

// Somebody may have removed the group of a run before a worker takes it over: how its leader
// ended the keeper knows.
func TestARunWhoseGroupIsGoneIsTakenOver(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	id := keeper.RunID{Name: "web", Run: 1}
	kept := keptOf(spec("web"))
	kept.Target = store.Target{Up: true, Run: id.Run, Origin: w.s.origin}
	leader, err := proc.Identify("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	held := keeper.Held{Run: id, ID: leader, Exit: &proc.Exit{Code: 3}}
	w.s.resume(kept, nil, nil, map[keeper.RunID]*keeper.Held{id: &held}, nil)
	p := w.s.names["web"]
	p.turnsUntil(t, func() bool { return !p.machine.Busy() && len(p.disk.writes) == 0 })
	if last := p.kept.Last; last == nil || last.ExitCode == nil || *last.ExitCode != 3 {
		t.Errorf("its last run is %+v", last)
	}
}

// Of a run that was lost with the machine it is known who asked for it, and of one that never
// was, who asks for the next.
func TestWhoAskedForALostRunIsKnown(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.s.origin = store.Origin{Boot: "boot", Keeper: "1:1"}
	by := process.Asked{By: process.ByRequest, UID: new(7)}
	for name, c := range map[string]struct {
		target store.Target
		asked  func(p *managed) process.Asked
	}{
		"lost":    {store.Target{Up: true, Run: 1, Asked: by, Origin: store.Origin{Boot: "another", Keeper: "1:1"}}, func(p *managed) process.Asked { return p.kept.Last.Asked }},
		"owed":    {store.Target{Up: true, Run: 1, Asked: by, Owed: true, Never: 1, Origin: w.s.origin}, func(p *managed) process.Asked { return p.machine.Asked }},
		"never":   {store.Target{Up: true, Run: 1, Asked: by, Origin: w.s.origin}, func(p *managed) process.Asked { return p.machine.Asked }},
		"waiting": {store.Target{Up: true, Waiting: true, Asked: by, Origin: w.s.origin}, func(p *managed) process.Asked { return p.machine.Asked }},
	} {
		kept := keptOf(spec(name))
		kept.Target = c.target
		w.s.resume(kept, nil, nil, nil, nil)
		if got := c.asked(w.s.names[name]); got.By != by.By || got.UID == nil || *got.UID != 7 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
