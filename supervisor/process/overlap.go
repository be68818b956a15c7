package process

// Overlap says what becomes of a scheduled time, or of a run that is asked for by a trigger,
// while a run of the process is under way.
type Overlap string

// The ways.
const (
	OverlapSkip    Overlap = "skip"    // nothing begins
	OverlapQueue   Overlap = "queue"   // one waits for the end of that run; another one meanwhile is left out
	OverlapReplace Overlap = "replace" // that run is ended first
	OverlapAllow   Overlap = "allow"   // they go on side by side
)

// How many runs may go on side by side.
const (
	DefaultOverlapMax = 10
	MaxOverlapMax     = 100
)

// Overlapping says how runs of a process may meet. The zero value is the default.
type Overlapping struct {
	Overlap    Overlap // empty: OverlapSkip
	OverlapMax int     // runs that OverlapAllow lets go on at once; 0: DefaultOverlapMax
}

// Way is the way that holds.
func (o Overlapping) Way() Overlap {
	if o.Overlap == "" {
		return OverlapSkip
	}
	return o.Overlap
}

// Most is how many runs may go on at once.
func (o Overlapping) Most() int {
	switch {
	case o.Way() != OverlapAllow:
		return 1
	case o.OverlapMax == 0:
		return DefaultOverlapMax
	}
	return o.OverlapMax
}

func (o Overlapping) validate() error {
	if o.OverlapMax != 0 && o.Way() != OverlapAllow {
		return Errorf(CodeInvalid, "overlap_max: runs do not go on side by side: give overlap:allow too, or overlap_max:'' to be without it")
	}
	return nil
}
