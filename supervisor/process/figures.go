package process

// Figures are what a process is and uses now, in short: what is cheap to tell of very many of
// them, each second. What all its runs use that are under way is added up.
type Figures struct {
	Name       string   `json:"name"`
	State      State    `json:"status,omitempty"` // absent where the process is gone
	PID        int      `json:"pid,omitempty"`    // of the leader; absent without one
	Run        uint64   `json:"run,omitempty"`    // the number of the current one
	CPUPercent *float64 `json:"cpu_percent,omitempty"`
	Memory     *uint64  `json:"memory_bytes,omitempty"`
	Pids       *int     `json:"pids,omitempty"`
	Uptime     float64  `json:"uptime_seconds,omitempty"` // of the current run
	Restarts   int      `json:"restarts,omitempty"`
	Result     State    `json:"result,omitempty"`  // as in Condition
	Command    string   `json:"command,omitempty"` // its beginning
	Gone       bool     `json:"gone,omitempty"`    // it was deleted
}

// MaxFiguresCommand is how many bytes of a command figures have at most.
const MaxFiguresCommand = 256
