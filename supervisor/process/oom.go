package process

import (
	"fmt"
	"strconv"
	"strings"
)

// OOM is what the kernel ended of a run's tree for lack of memory.
type OOM struct {
	// Kills is how many the kernel has counted. Of a tree that it ended as a whole it counts
	// the process that it chose twice.
	Kills uint64 `json:"kills"`

	// Victims are the last of them, at most [MaxVictims], as far as the kernel's log could be
	// read and named them; the last one is at the end.
	Victims []Victim `json:"victims,omitempty"`

	Limit    OOMLimit `json:"limit,omitempty"`       // whose was reached, at the last kill; empty: it is not known
	MaxBytes uint64   `json:"limit_bytes,omitempty"` // that limit, where it is this run's or that of all; 0: it is not known

	// Tree says that the kernel has ended all that was in it: oom is kill.
	Tree bool `json:"tree,omitempty"`
}

// MaxVictims is how many victims of a run are kept.
const MaxVictims = 8

// Victim is a process that the kernel has ended for lack of memory.
type Victim struct {
	PID  int    `json:"pid"`
	Name string `json:"name"` // as it called itself: at most 15 bytes
}

// OOMLimit is whose limit of memory was reached.
type OOMLimit string

// The limits.
const (
	OOMRun     OOMLimit = "run"     // the run's own, or one that its tree has given itself
	OOMAll     OOMLimit = "all"     // that of all processes together
	OOMAbove   OOMLimit = "above"   // that of a group which holds the daemon's: a container's, a slice's
	OOMMachine OOMLimit = "machine" // none: the machine had no more
)

// Whose says in words which limit was reached: "its own memory_max of 64M".
func (o *OOM) Whose() string {
	switch {
	case o.Limit == OOMRun && o.MaxBytes != 0:
		return "its own memory_max of " + exactSize(o.MaxBytes)
	case o.Limit == OOMRun:
		return "its own limit"
	case o.Limit == OOMAll && o.MaxBytes != 0:
		return "memory_max of all processes together, " + exactSize(o.MaxBytes)
	case o.Limit == OOMAll:
		return "the limit of all processes together"
	case o.Limit == OOMAbove:
		return "the limit of a group above the daemon's"
	case o.Limit == OOMMachine:
		return "the machine had no more"
	}
	return ""
}

// Who names the victims that are known: "worker (pid 12), worker (pid 13)".
func (o *OOM) Who() string {
	var names []string
	for _, v := range o.Victims {
		names = append(names, fmt.Sprintf("%s (pid %d)", v.Name, v.PID))
	}
	return strings.Join(names, ", ")
}

// Own says that the main process was one of them: "killed for lack of memory: its own
// memory_max of 64M". It may be nil.
func (o *OOM) Own() string {
	text := "killed for lack of memory"
	if o == nil {
		return text
	}
	if o.Tree {
		text += " with all its processes"
	}
	if whose := o.Whose(); whose != "" {
		text += ": " + whose
	}
	return text
}

// Others says that processes of the tree were, whatever became of the main process: "2 of its
// processes were killed for lack of memory (a (pid 1), b (pid 2); the machine had no more)".
func (o *OOM) Others() string {
	text := "one of its processes was killed for lack of memory"
	if o.Kills != 1 {
		text = fmt.Sprintf("%d of its processes were killed for lack of memory", o.Kills)
	}
	return text + o.details()
}

// String is the same in a few words: "2 killed (a (pid 1), b (pid 2); the machine had no more)".
func (o *OOM) String() string { return fmt.Sprintf("%d killed", o.Kills) + o.details() }

func (o *OOM) details() string {
	if more := strings.Trim(o.Who()+"; "+o.Whose(), "; "); more != "" {
		return " (" + more + ")"
	}
	return ""
}

// exactSize is a number of bytes in the largest unit of which it is a whole number, as
// ParseSize reads it.
func exactSize(n uint64) string {
	unit := 0
	for unit < 4 && n != 0 && n%1024 == 0 {
		n, unit = n/1024, unit+1
	}
	return strconv.FormatUint(n, 10) + strings.TrimSpace(" KMGT"[unit:unit+1])
}
