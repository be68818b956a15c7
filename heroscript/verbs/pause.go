package verbs

import (
	"fmt"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func pauseForm(time.Time) *form {
	return operation(func(*form) process.Operation { return process.Pause{} }, paused)
}

func resumeForm(time.Time) *form {
	return operation(func(*form) process.Operation { return process.Resume{} }, resumed)
}

// paused says what pause did.
func paused(o process.Outcome) string {
	return fmt.Sprintf("process '%s' is paused: run %d", o.Status.Name, o.Status.Number)
}

// resumed says what resume did, and how long the tree has stood still.
func resumed(o process.Outcome) string {
	text := fmt.Sprintf("process '%s' goes on: run %d", o.Status.Name, o.Status.Number)
	if o.Status.Paused > 0 {
		text += fmt.Sprintf(", paused for %s so far", Seconds(o.Status.Paused))
	}
	return text
}
