package process

import "time"

// LogQuery says which of a process's output to give. The zero value is all that is
// kept.
type LogQuery struct {
	Lines  int       // this many of the last lines at most; 0: all
	Since  time.Time // from this time on; zero: no bound
	Until  time.Time // before this time; zero: no bound
	Run    uint64    // of one run only; 0: of all
	Grep   string    // only lines that match this regular expression (RE2)
	Times  bool      // the time before each line, in UTC
	Follow bool      // go on with what is written from now on
	From   int64     // begin at this offset, as an earlier answer gave it
}

// NeedsFile reports whether q asks for what only a log in a file can tell.
func (q LogQuery) NeedsFile() bool {
	return !q.Since.IsZero() || !q.Until.IsZero() || q.Run != 0 || q.Grep != "" || q.Times || q.Follow || q.From != 0
}
