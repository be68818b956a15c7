package supervisor

import (
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// askSchedule carries out what is asked of the schedule alone.
func (p *managed) askSchedule(r request, kind lifecycle.EventKind) {
	err := p.final()
	e := lifecycle.Event{Kind: kind}
	told := process.Event{Kind: process.EventSchedulePaused}
	switch {
	case err != nil:
	case p.times == nil:
		err = process.Errorf(process.CodeInvalid, "process '%s' has no schedule: give it one with process.set (pmclient set %[1]s -cron SCHEDULE)", p.name)
	case kind == lifecycle.ResumeSchedule:
		told.Kind = process.EventScheduleResumed
	case kind == lifecycle.SkipNext:
		told.Kind = process.EventSkipNext
		if e.Time = p.machine.Skip; e.Time.Before(p.next) { // it has passed, or there is none
			e.Time = p.next
		}
		switch told.SkipTime = e.Time.UTC(); {
		case p.times.IsReboot():
			err = process.Errorf(process.CodeInvalid, "process '%s' runs at the start of the machine, and has no next time: pause its schedule instead (pmclient schedule_pause %[1]s)", p.name)
		case e.Time.IsZero():
			err = process.Errorf(process.CodeInvalid, "process '%s' waits for no time of its schedule: start it first (pmclient start %[1]s)", p.name)
		}
	}
	if err == nil {
		was := p.machine
		if p.handle(e); was.SchedulePaused != p.machine.SchedulePaused || !was.Skip.Equal(p.machine.Skip) {
			p.tell(told)
		}
	}
	p.answer(r, err)
}
