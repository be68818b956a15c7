package supervisor

// Point names a moment between two steps that outlast the worker: what came before
// it is done, what comes after it is not.
type Point string

// The points, in the order in which a run comes by.
const (
	PointNumbered  Point = "numbered"  // the run's number is on disk
	PointMade      Point = "made"      // its group is there
	PointMarked    Point = "marked"    // and says whose run it is
	PointPiped     Point = "piped"     // its FIFO is there
	PointSpawned   Point = "spawned"   // its leader runs
	PointRecorded  Point = "recorded"  // and stands on the group
	PointNoted     Point = "noted"     // why it is being ended stands on the group
	PointFrozen    Point = "frozen"    // the tree stands still
	PointSignalled Point = "signalled" // every process of it has the stop signal
	PointThawed    Point = "thawed"    // it runs again
	PointAsked     Point = "asked"     // that it was asked stands on the group
	PointKilled    Point = "killed"    // SIGKILL is sent to what was left
	PointExited    Point = "exited"    // the leader's exit is known
	PointDrained   Point = "drained"   // nobody is left, the output is moved
	PointStored    Point = "stored"    // the result is on disk
	PointRemoved   Point = "removed"   // the FIFO and the group are gone
	PointDropped   Point = "dropped"   // the keeper was told to forget the run
	PointCondemned Point = "condemned" // that a process is to be forgotten is on disk
	PointCleared   Point = "cleared"   // its log is gone
	PointForgotten Point = "forgotten" // and its definition
)

// Points are all of them.
var Points = []Point{
	PointNumbered, PointMade, PointMarked, PointPiped, PointSpawned, PointRecorded,
	PointNoted, PointFrozen, PointSignalled, PointThawed, PointAsked, PointKilled,
	PointExited, PointDrained, PointStored, PointRemoved, PointDropped,
	PointCondemned, PointCleared, PointForgotten,
}

// at says that a point is reached.
func (s *Supervisor) at(p Point) {
	if s.reached != nil {
		s.reached(p)
	}
}
