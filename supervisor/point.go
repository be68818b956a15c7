package supervisor

import "github.com/freeflowuniverse/processmanager/supervisor/run"

// Point names a moment between two steps that outlast the worker: what came before
// it is done, what comes after it is not.
type Point = run.Point

// The points at which something has come to disk; the others are those of a run.
const (
	PointNumbered  Point = "numbered"  // the run's number is on disk
	PointStored    Point = "stored"    // its result is on disk
	PointCondemned Point = "condemned" // that a process is to be forgotten is on disk
	PointCleared   Point = "cleared"   // its log is gone
	PointForgotten Point = "forgotten" // and its definition
)

// PointTaken is before a worker is ready: it knows what former ones have left, and has
// changed nothing.
const PointTaken Point = "taken"

// The points of a command of on_failure.
const (
	PointTelling Point = "telling" // it is about to be run
	PointTold    Point = "told"    // it has ended, and that is not on disk yet
)

// Points are the others, in the order in which a run comes by.
var Points = []Point{
	PointNumbered, run.PointMade, run.PointMarked, run.PointPiped, run.PointSpawned, run.PointRecorded,
	run.PointNoted, run.PointFrozen, run.PointSignalled, run.PointThawed, run.PointAsked, run.PointKilled,
	run.PointExited, run.PointDrained, PointStored, run.PointRemoved, run.PointDropped,
	PointCondemned, PointCleared, PointForgotten,
}

// at says that a point is reached.
func (s *Supervisor) at(p Point) {
	if s.reached != nil {
		s.reached(p)
	}
}
