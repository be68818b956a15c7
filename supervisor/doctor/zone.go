package doctor

import (
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// zone looks at the local time of this program. The daemon has the same environment.
func (e *exam) zone() []process.Finding {
	if err := schedule.CheckLocal(); err != nil {
		return one("time zone", process.LevelNote, "set TZ to a name such as Europe/Brussels, or install the zone data (tzdata), and start the daemon again", "%v", err)
	}
	return nil
}
