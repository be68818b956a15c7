package supervisor

import (
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The schedule @reboot has one time for each start of the machine: when the first daemon finds
// the process, armed by then. In which boot that was taken care of is kept, so that neither a
// takeover nor another daemon of the same boot runs it again.

// resumeReboot has a process run of which no daemon has taken care in this boot.
func (p *managed) resumeReboot() {
	if p.s.ending || p.kept.Booted == p.s.origin.Boot {
		return
	}
	p.booted = true
	p.inbox.put(func() {
		p.s.gate.enter(func(leave func()) {
			begins := p.inbox.put(func() {
				if p.machine.Closing { // the next daemon does
					leave()
					return
				}
				p.begin(p.reboot(), leave)
			})
			if !begins {
				leave()
			}
		})
	})
}

// noteBoot notes that the schedule is armed in this boot, and needs another start of the
// machine.
func (p *managed) noteBoot() {
	if !p.booted && p.kept.Booted != p.s.origin.Boot {
		p.kept.Booted = p.s.origin.Boot
		p.disk.dirty = true
	}
}

// reboot is the time of the schedule that is now.
func (p *managed) reboot() lifecycle.Event {
	p.booted = false
	p.noteBoot()
	now := time.Now().Round(0)
	return lifecycle.Event{Kind: lifecycle.Due, Time: now, Asked: process.Asked{By: process.ByBoot, Time: now.UTC()}}
}
