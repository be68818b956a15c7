package verbs

import (
	"fmt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// asker is who asked for a run, in a few words: "uid 0", "schedule 02:00", "restart 3",
// "boot". Nothing if it is not known.
func asker(a process.Asked) string {
	who := "the daemon"
	switch {
	case a.UID != nil:
		who = fmt.Sprintf("uid %d", *a.UID)
	case a.Over == process.OverTCP:
		who = "somebody over TCP"
	}
	switch a.By {
	case process.ByRequest:
		return who
	case process.ByApply, process.ByTrigger:
		return string(a.By) + " by " + who
	case process.BySchedule, process.ByCatchUp:
		at := a.Time.Local()
		clock := at.Format("15:04")
		if at.Second() != 0 {
			clock = at.Format("15:04:05")
		}
		if a.By == process.ByCatchUp {
			return "catch-up of " + at.Format("2006-01-02 ") + clock
		}
		return "schedule " + clock
	case process.ByRestart:
		return fmt.Sprintf("restart %d", a.Count)
	case process.ByNeed:
		return "need of " + screen.Line(a.Name)
	}
	return string(a.By)
}
