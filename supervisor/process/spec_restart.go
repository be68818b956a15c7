package process

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Restarting says when a process is started though nobody asks for it just then.
type Restarting struct {
	Restart         RestartPolicy // empty: RestartNo
	RestartDelay    time.Duration // before the first restart; 0: DefaultRestartDelay
	RestartMaxDelay time.Duration // the longest; 0: DefaultRestartMaxDelay, or RestartDelay if that is longer
	RestartLimit    int           // restarts in RestartWindow, after which it has failed for good; 0: none
	RestartWindow   time.Duration // 0: those in a row count
	SuccessCodes    string        // all exit codes that count as success: "0,143"; empty: 0
	Autostart       bool          // with the daemon, unless it was stopped by request
}

// RestartPolicy says after which runs another one follows by itself. None follows a run that
// was stopped, ended by the daemon's own end, or replaced.
type RestartPolicy string

// The policies.
const (
	RestartNo        RestartPolicy = "no"
	RestartOnFailure RestartPolicy = "on-failure" // after any that did not succeed
	RestartAlways    RestartPolicy = "always"
)

// What a spec says about restarts by default, and what it may hold.
const (
	DefaultRestartDelay    = time.Second
	DefaultRestartMaxDelay = time.Minute
	MinRestartDelay        = time.Second // a shorter one counts as this
	MaxRestartLimit        = 1000
)

// FirstDelay is the time between the end of a run and the first restart.
func (r *Restarting) FirstDelay() time.Duration {
	if r.RestartDelay == 0 {
		return DefaultRestartDelay
	}
	return max(r.RestartDelay, MinRestartDelay)
}

// LongestDelay is what the delays grow to. A run that lasts so long has them begin anew.
func (r *Restarting) LongestDelay() time.Duration {
	if r.RestartMaxDelay == 0 {
		return max(DefaultRestartMaxDelay, r.FirstDelay())
	}
	return max(r.RestartMaxDelay, MinRestartDelay)
}

// DelayAfter is the time before the next restart when there were so many in a row.
func (r *Restarting) DelayAfter(row int) time.Duration {
	d, most := r.FirstDelay(), r.LongestDelay()
	for ; row > 0 && d < most; row-- {
		d = min(2*d, most) // at most 200 years
	}
	return min(d, most)
}

// Succeeds reports whether an exit code counts as success.
func (r *Restarting) Succeeds(code int) bool {
	if r.SuccessCodes == "" {
		return code == 0
	}
	return slices.Contains(strings.Split(r.SuccessCodes, ","), strconv.Itoa(code))
}

// validate reports which fields exclude each other.
func (r *Restarting) validate() error {
	switch shortest := r.shortestWindow(); {
	case r.RestartMaxDelay != 0 && r.LongestDelay() < r.FirstDelay():
		return Errorf(CodeInvalid, "restart_max_delay: %v is less than restart_delay, which is %v: give at least that, or restart_max_delay:'' for the default",
			r.RestartMaxDelay, r.FirstDelay())
	case r.RestartWindow != 0 && r.RestartWindow < shortest:
		return Errorf(CodeInvalid, "restart_window: %d restarts never come within %v, for their delays alone take %v: give at least that, a lower restart_limit, or a lower restart_max_delay",
			r.RestartLimit, r.RestartWindow, shortest)
	}
	return nil
}

// shortestWindow is the time between the first and the last of as many restarts as the
// limit takes, when each run ends at once.
func (r *Restarting) shortestWindow() (sum time.Duration) {
	for row := 1; row < r.RestartLimit && sum <= MaxTime; row++ {
		d := r.DelayAfter(row)
		sum += d + d/10 // the delays are stretched by so much at most
	}
	return sum
}

// cleanCodes reads exit codes with commas between them, and gives them sorted.
func cleanCodes(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if len(text) > 2048 {
		return "", fmt.Errorf("has %d bytes: exit codes with commas between them, such as 0,143", len(text))
	}
	var codes []int
	for _, one := range strings.Split(text, ",") {
		code, err := strconv.ParseUint(strings.Trim(one, " "), 10, 8)
		if err != nil {
			return "", fmt.Errorf("%s is not an exit code: from 0 to 255, several with commas between them, such as 0,143", Printable(one))
		}
		codes = append(codes, int(code))
	}
	slices.Sort(codes)
	var kept []string
	for _, code := range slices.Compact(codes) {
		kept = append(kept, strconv.Itoa(code))
	}
	return strings.Join(kept, ","), nil
}
