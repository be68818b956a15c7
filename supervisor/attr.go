package supervisor

import (
	"cmp"
	"encoding/json"
	"errors"
	"log"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The attributes of a run's group. They live and die with it, so they are never
// stale. Times are CLOCK_BOOTTIME: a group does not outlive its boot.
const (
	attrRun      = "processmanager.run"      // runAttr: whose run it is
	attrLeader   = "processmanager.leader"   // leaderAttr, when it was spawned
	attrEnd      = "processmanager.end"      // endAttr, before the first signal
	attrOutlived = "processmanager.outlived" // how many kills for lack of memory its leader has outlived
)

type runAttr struct {
	Name  string
	Run   uint64
	JobID string
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
	Then  then
	Boot  time.Duration       // when the end began
	Sent  bool                // the stop signal
	Exit  *proc.Exit          `json:",omitempty"` // of the leader
	Left  *process.LeftBehind `json:",omitempty"`
	JobID string              `json:",omitempty"` // of the run that is to follow
	Over  time.Duration       `json:",omitzero"`  // when nobody was left, if the store could not be told
}

func (r *run) attr(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return r.group.SetAttr(name, data)
}

// readAttr is false when the group has no such attribute.
func readAttr(g cgroup.Group, name string, value any) (bool, error) {
	var data []byte
	err := insist(func() (err error) {
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

// noteOver records when the run that was being ended was over.
func (r *run) noteOver(log *log.Logger) {
	if r.noted.Boot == 0 { // it ended by itself: with its leader
		return
	}
	r.noted.Over = cmp.Or(r.noted.Over, proc.BootTime())
	if err := r.attr(attrEnd, r.noted); err != nil {
		log.Printf("%v: %v", r.id, err)
	}
}

// noteEnd records why the run is being ended, and what is to follow, before
// anything is done about it.
func (p *managed) noteEnd() {
	r := p.run
	if r == nil || p.state.ending == notEnding {
		return
	}
	note := r.noted
	note.Cause, note.Then, note.JobID = p.state.cause, p.state.then, p.nextJobID()
	if r.exit != nil { // what an earlier worker knew of it stands
		note.Exit = r.exit
	}
	if note == r.noted {
		return
	}
	if note.Boot == 0 {
		note.Boot = proc.BootTime()
	}
	r.noted = note
	if err := r.attr(attrEnd, note); err != nil {
		p.s.log.Printf("%v: %v", r.id, err)
	}
	p.s.at(PointNoted)
}
