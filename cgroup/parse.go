package cgroup

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// mount is one line of /proc/PID/mountinfo.
type mount struct {
	root   string // the directory of the file system that is mounted
	point  string
	fsType string
	super  []string // options of the file system: the controllers of a v1 hierarchy
}

// parseMountinfo returns the cgroup mounts of a mountinfo file, v1 and v2, in
// the order in which they were mounted (proc_pid_mountinfo(5)).
func parseMountinfo(r io.Reader) ([]mount, error) {
	var mounts []mount
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20) // an overlay mount may list hundreds of layers
	for scan.Scan() {
		before, after, _ := strings.Cut(scan.Text(), " - ")
		left, right := strings.Split(before, " "), strings.Split(after, " ")
		if right[0] != "cgroup" && right[0] != "cgroup2" {
			continue
		}
		if len(left) < 6 || len(right) < 3 {
			return nil, fmt.Errorf("mountinfo: unexpected line %q", scan.Text())
		}
		mounts = append(mounts, mount{
			root:   unescape(left[3]),
			point:  unescape(left[4]),
			fsType: right[0],
			super:  strings.Split(right[2], ","),
		})
	}
	return mounts, scan.Err()
}

// unescape resolves the octal escapes (\040 for a blank) of mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// below returns path relative to root, "/" for root itself. Both come from the
// kernel and are seen from the same cgroup namespace, where "/.." stands for a
// group above the namespace's own; such names can be compared but not resolved.
func below(root, path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	if rest == "/.." || strings.HasPrefix(rest, "/../") {
		return "", false
	}
	if rest == "" {
		rest = "/"
	}
	return rest, true
}

// parsePids appends the pids of a cgroup.procs file. The kernel shows a process
// of a pid namespace that we cannot see as 0; nothing can be done about it by
// pid, so it is left out.
func parsePids(pids []int, data []byte) ([]int, error) {
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		pid, ok := parseUint(line)
		if !ok || pid > 1<<30 {
			return pids, fmt.Errorf("unexpected pid %q", string(line)) // a copy, or every buffer would move to the heap
		}
		if pid > 0 {
			pids = append(pids, int(pid))
		}
		data = rest
	}
	return pids, nil
}

// flatKey returns the value of "key value\n" in a flat keyed file such as
// cpu.stat, cgroup.events or memory.events.
func flatKey(data []byte, key string) (value uint64, ok bool) {
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		if n := len(key); len(line) > n && line[n] == ' ' && string(line[:n]) == key {
			return parseUint(line[n+1:])
		}
		data = rest
	}
	return 0, false
}

// parseUint reads decimal digits and nothing else, without the string that
// strconv would need.
func parseUint(s []byte) (n uint64, ok bool) {
	if len(s) == 0 || len(s) > 20 {
		return 0, false
	}
	for _, c := range s {
		d := uint64(c - '0')
		if c < '0' || c > '9' || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}
