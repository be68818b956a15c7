package run

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The attributes of a run's group. They live and die with it, so they are never
// stale. Times are CLOCK_BOOTTIME: a group does not outlive its boot.
const (
	attrRun      = "processmanager.run"      // runAttr: whose run it is
	attrLeader   = "processmanager.leader"   // leaderAttr, when it was spawned
	attrEnd      = "processmanager.end"      // endAttr, before the first signal
	attrReady    = "processmanager.ready"    // readyAttr, of a run that was waited for
	attrNotify   = "processmanager.notify"   // notifyAttr, of a run that has a socket
	attrHealth   = "processmanager.health"   // healthAttr, of a run whose probes have failed
	attrPause    = "processmanager.pause"    // pauseAttr, of a run that is paused or was
	attrOOM      = "processmanager.oom"      // oomAttr, of a tree that was in want of memory
	attrOutlived = "processmanager.outlived" // how many kills for lack of memory its leader has outlived
	attrLimited  = "processmanager.limited"  // true, of a group to which limits were written, whatever became of them
)

type runAttr struct {
	Name  string
	Run   uint64
	JobID string
	Asked process.Asked `json:",omitzero"`
}

type leaderAttr struct {
	proc.ID
	Started time.Time
	Boot    time.Duration
}

// endAttr is why a run is being ended, what is to follow, and what is known of its
// leader by then.
type endAttr struct {
	Cause process.Cause
	Then  lifecycle.Then
	Boot  time.Duration       // when the end began
	Sent  bool                // the stop signal
	Exit  *proc.Exit          `json:",omitempty"` // of the leader
	Left  *process.LeftBehind `json:",omitempty"`
	JobID string              `json:",omitempty"` // of the run that is to follow
	Asked process.Asked       `json:",omitzero"`  // who asked for that one
	Over  time.Duration       `json:",omitzero"`  // when nobody was left, if the store could not be told
	Error string              `json:",omitempty"` // why, in words, where that is known when the end begins
}

func setAttr(g Group, name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return g.SetAttr(name, data)
}

// noted is what a group that was found says. It may have one attribute of each kind, and has
// few: those that it has not the kernel need not be asked for one by one.
type noted struct {
	Group
	names []string
}

// notedOn reads which attributes a group has. Where that cannot be it is asked for each.
func notedOn(g Group) attrs {
	var names []string
	if err := RetryPassing(func() (err error) {
		names, err = g.Attrs()
		return err
	}); err != nil {
		return g
	}
	return noted{g, names}
}

func (n noted) Attr(name string) ([]byte, error) {
	if !slices.Contains(n.names, name) {
		return nil, cgroup.ErrNoAttr
	}
	return n.Group.Attr(name)
}

// attrs is what attributes are read from.
type attrs interface {
	Attr(name string) ([]byte, error)
}

// readAttr is false when the group has no such attribute.
func readAttr(g attrs, name string, value any) (bool, error) {
	var data []byte
	err := RetryPassing(func() (err error) {
		data, err = g.Attr(name)
		return err
	})
	if errors.Is(err, cgroup.ErrNoAttr) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(data, value)
}

// noteEnd records why the run is being ended, what is to follow, and what is known of its
// leader, before anything is done about it. A group that is not there yet is told at the
// leader's birth.
func (r *Run) noteEnd() {
	r.note.Cause = r.machine.Cause
	if r.exit != nil { // what an earlier worker knew of it stands
		r.note.Exit = r.exit
	}
	if r.note == r.noted {
		return
	}
	r.note.Boot = cmp.Or(r.note.Boot, r.host.Clock.Now())
	r.putNote()
	r.host.at(PointNoted)
}

// noteOver records when the run that was being ended, or never had a leader, was over:
// should the store not take it, the next worker knows.
func (r *Run) noteOver() {
	if r.note.Boot == 0 && r.machine.Born { // it ended by itself: with its leader
		return
	}
	if !r.machine.Born {
		if !r.made { // it was ended before it was begun
			r.made = r.group.Make() == nil
		}
		r.note.Cause, r.note.Error = r.machine.Cause, r.error
	}
	r.note.Over = cmp.Or(r.note.Over, r.host.Clock.Now())
	r.note.Boot = cmp.Or(r.note.Boot, r.note.Over)
	r.putNote()
}

// putNote puts the note on the group. What could not be put there is put with what is
// noted next.
func (r *Run) putNote() {
	err := RetryPassing(func() error { return setAttr(r.group, attrEnd, r.note) })
	if err == nil {
		r.noted = r.note
	} else if !errors.Is(err, fs.ErrNotExist) {
		r.host.Log.Printf("%v: record that it is being ended: %v", r.ID, err)
	}
}
