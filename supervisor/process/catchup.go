package process

import "time"

// What becomes of times of a schedule that were missed, by Schedule.Catchup.
const (
	CatchupNone   = "none"
	CatchupLatest = "latest" // the latest of them runs
	CatchupAll    = "all"    // all run, one after another; the latest MaxCatchup of them
)

// Bounds of what is caught up.
const (
	MaxCatchup       = 100
	MinCatchupWindow = 10 * time.Second // a time that is not older counts as now
)
