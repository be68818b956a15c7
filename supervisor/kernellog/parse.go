package kernellog

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Kill is one process that the kernel has ended for lack of memory.
type Kill struct {
	Number  uint64        // of the record, 1 or more: later ones have higher numbers, until the machine is booted anew
	Time    time.Duration // since boot, by the clock of the log, which stands still in suspend
	PID     int           // in the first pid namespace
	Name    string        // as it called itself: at most 15 bytes, of anything
	Group   string        // the victim's, from the root of the hierarchy
	Limit   string        // the group whose limit was reached; empty: none, or it is not known
	Machine bool          // the memory of the machine was used up
}

// maxName is how long the name of a process can be, in bytes.
const maxName = 15

// record is one of /dev/kmsg.
type record struct {
	kernel    bool // the kernel has written it
	continues bool // the line of an earlier record
	number    uint64
	time      time.Duration
	text      []byte
}

// parseRecord reads "6,473,23984365,-;text\n", behind which lines of " KEY=value\n" may
// follow: syslog priority and facility, number, time in µs, flags. Further fields may stand
// before the semicolon (Documentation/ABI/testing/dev-kmsg). Bytes of the text that are not
// printable are written as \x0a.
func parseRecord(data []byte) (r record, ok bool) {
	head, text, ok := bytes.Cut(data, []byte{';'})
	fields := bytes.Split(head, []byte{','})
	if !ok || len(fields) < 4 {
		return r, false
	}
	priority, err := strconv.ParseUint(string(fields[0]), 10, 32)
	if err != nil {
		return r, false
	}
	number, err := strconv.ParseUint(string(fields[1]), 10, 63)
	if err != nil {
		return r, false
	}
	micros, err := strconv.ParseInt(string(fields[2]), 10, 53)
	if err != nil {
		return r, false
	}
	text, _, _ = bytes.Cut(text, []byte{'\n'})
	return record{priority>>3 == 0, bytes.ContainsRune(fields[3], 'c'), number + 1, time.Duration(micros) * time.Microsecond, unescape(text)}, true
}

// unescape undoes \x0a.
func unescape(text []byte) []byte {
	if !bytes.Contains(text, []byte(`\x`)) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) && text[i+1] == 'x' {
			if c, err := strconv.ParseUint(string(text[i+2:i+4]), 16, 8); err == nil {
				out = append(out, byte(c))
				i += 3
				continue
			}
		}
		out = append(out, text[i])
	}
	return out
}

var (
	killLine   = []byte("oom-kill:constraint=CONSTRAINT_")
	ofMachine  = []byte(",global_oom")
	limitKey   = []byte(",oom_memcg=/")
	groupKey   = []byte(",task_memcg=/")
	nameKey    = []byte(",task=")
	pidKey     = []byte(",pid=")
	uidKey     = []byte(",uid=")
	allBefore  = []byte("Tasks in ")
	allBehind  = []byte(" are going to be killed due to memory.oom.group set")
	eachBefore = []byte("Memory cgroup out of memory: Killed process ")
	eachBehind = []byte(") total-vm:")
)

// parseKill reads
//
//	oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=NAME,mems_allowed=0,oom_memcg=GROUP,task_memcg=GROUP,task=NAME,pid=1,uid=0
//
// in which ",global_oom" stands for oom_memcg where no group's limit was reached.
func parseKill(line []byte) (k Kill, ok bool) {
	if !bytes.HasPrefix(line, killLine) {
		return k, false
	}
	rest, uid, ok := cutNumber(line, uidKey)
	if !ok || uid < 0 {
		return k, false
	}
	if rest, k.PID, ok = cutNumber(rest, pidKey); !ok || k.PID <= 0 {
		return k, false
	}
	if rest, k.Name, ok = cutName(rest); !ok {
		return k, false
	}
	limit, group := bytes.Index(rest, limitKey), bytes.Index(rest, groupKey)
	if group < 0 {
		return k, false
	}
	if limit < 0 || limit > group { // behind the first slash it stands in the name of a group
		k.Group = string(rest[group+len(groupKey)-1:])
		k.Machine = bytes.HasSuffix(rest[:group], ofMachine)
		return k, k.Machine
	}
	rest = rest[limit+len(limitKey)-1:]
	for i := 0; ; i++ {
		next := bytes.Index(rest[i:], groupKey)
		if next < 0 {
			return k, false
		}
		i += next
		if k.Limit, k.Group = string(rest[:i]), string(rest[i+len(groupKey)-1:]); Holds(k.Limit, k.Group) {
			return k, true
		}
	}
}

// Holds reports whether a group is another one or below it.
func Holds(above, group string) bool {
	rest, ok := strings.CutPrefix(group, strings.TrimSuffix(above, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// cutNumber cuts off ",key=12" at the end of a line.
func cutNumber(line, key []byte) (rest []byte, n int, ok bool) {
	i := bytes.LastIndex(line, key)
	if i < 0 {
		return nil, 0, false
	}
	n, ok = digits(line[i+len(key):])
	return line[:i], n, ok
}

// digits reads a number that has no sign.
func digits(text []byte) (n int, ok bool) {
	u, err := strconv.ParseUint(string(text), 10, 32)
	return int(u), err == nil
}

// cutName cuts off ",task=NAME" at the end of a line. Where a name, or that of a group before
// it, holds the same, it is as long as it can be.
func cutName(line []byte) (rest []byte, name string, ok bool) {
	from := max(len(line)-maxName-len(nameKey), 0)
	i := bytes.Index(line[from:], nameKey)
	if i < 0 {
		return nil, "", false
	}
	return line[:from+i], string(line[from+i+len(nameKey):]), true
}

// parseGroup reads the line that says that a whole group is ended.
func parseGroup(line []byte) (group string, ok bool) {
	rest, ok := bytes.CutPrefix(line, allBefore)
	if !ok {
		return "", false
	}
	rest, ok = bytes.CutSuffix(rest, allBehind)
	return string(rest), ok && len(rest) > 0 && rest[0] == '/'
}

// parseEach reads the line that is written for every victim; the group does not stand in it.
func parseEach(line []byte) (pid int, name string, ok bool) {
	rest, ok := bytes.CutPrefix(line, eachBefore)
	if !ok {
		return 0, "", false
	}
	number, rest, ok := bytes.Cut(rest, []byte(" ("))
	if !ok {
		return 0, "", false
	}
	if pid, ok = digits(number); !ok || pid == 0 {
		return 0, "", false
	}
	i := bytes.LastIndex(rest, eachBehind)
	if i < 0 || i > maxName {
		return 0, "", false
	}
	return pid, string(rest[:i]), true
}

// groupTime is how far apart the lines about one group may be: a slow console holds them up.
const groupTime = time.Second

// maxParts is of how many records a line is put together.
const maxParts = 8

// reader takes records in their order.
type reader struct {
	part  []byte // of a line that goes on in another record
	parts int
	at    time.Duration

	last    Kill   // that a line of its own told of
	group   string // that is ended as a whole; empty: none is
	groupAt time.Duration
	seen    map[int]bool // members of it that were told of
}

// take returns whom a record tells of.
func (r *reader) take(rec record) (k Kill, ok bool) {
	if !rec.kernel {
		return k, false
	}
	line, at := rec.text, rec.time
	switch {
	case rec.continues && r.part != nil:
		r.part, r.parts = append(r.part, line...), r.parts+1
		line, at = r.part, r.at
	case bytes.HasPrefix(line, killLine):
		r.part, r.parts, r.at = bytes.Clone(line), 1, at
	default:
		return r.member(rec)
	}
	if k, ok = parseKill(line); ok || r.parts == maxParts {
		r.part = nil
	}
	if ok {
		k.Number, k.Time = rec.number, at
		r.last, r.group = k, ""
	}
	return k, ok
}

// member is take for the lines that tell of a group which is ended as a whole.
func (r *reader) member(rec record) (k Kill, ok bool) {
	if group, ok := parseGroup(rec.text); ok {
		r.group, r.groupAt, r.seen = group, rec.time, map[int]bool{}
		if rec.time-r.last.Time > groupTime { // nothing was told of what began it
			r.last = Kill{}
		}
		r.seen[r.last.PID] = true // it is told of twice
		return k, false
	}
	if r.group == "" {
		return k, false
	}
	if rec.time-r.groupAt > groupTime {
		r.group = ""
		return k, false
	}
	pid, name, ok := parseEach(rec.text)
	if !ok || r.seen[pid] {
		return k, false
	}
	r.seen[pid] = true
	return Kill{rec.number, rec.time, pid, name, r.group, r.last.Limit, r.last.Machine}, true
}
