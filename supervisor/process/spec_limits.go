package process

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Limits are what the tree of a run may use, all its processes together. The zero value is
// no limit.
type Limits struct {
	MemoryMax  int64    // bytes; 0: none. What would go above ends by the kernel's hand
	MemoryHigh int64    // bytes; 0: none. Above it the tree is slowed, and gives memory back
	MemoryLow  int64    // bytes that are taken from it last; 0: none
	SwapMax    *int64   // bytes; nil: none, 0: it may not swap
	CPUMax     CPUQuota // 0: none
	CPUWeight  int      // against its sisters, 1 to 10000; 0: 100
	PidsMax    int      // processes and threads; 0: none
	IOWeight   int      // against its sisters, 1 to 10000; 0: 100
	IOMax      string   // lines, see DeviceMax; empty: none
	CPUSet     string   // CPUs that it may run on: 0-3,6; empty: all
	OOMKill    bool     // one kill for lack of memory ends the whole tree
}

// Bounds of limits.
const (
	MinMemory = 64 << 10 // bytes: less is a unit that was forgotten
	MaxWeight = 10_000
	MaxPids   = 4 << 20 // PID_MAX_LIMIT of Linux
	MaxCPU    = 8191    // the number of the last that Linux can have
)

// CPUQuota is CPU time per time, in thousandths of a percent of one core: 100,000 are one.
type CPUQuota int64

// Bounds of a CPUQuota. The kernel takes no quota below 1 ms, which is 1 % of a period.
const (
	MinCPUQuota CPUQuota = 1_000
	MaxCPUQuota CPUQuota = 10_000 * 100_000
)

var quota = regexp.MustCompile(`^([0-9]{1,10}(?:\.[0-9]{1,10})?)(%?)$`)

// ParseCPUQuota reads a number of cores ("1.5") or percents of one ("150%").
func ParseCPUQuota(text string) (CPUQuota, error) {
	parts := quota.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("%s is no share of CPU time: percents of one core such as 150%%, or a number of cores such as 1.5", Printable(text))
	}
	exact, _ := new(big.Rat).SetString(parts[1])
	unit := int64(100_000)
	if parts[2] != "" {
		unit = 1_000
	}
	exact.Mul(exact, new(big.Rat).SetInt64(unit))
	q := CPUQuota(roundRat(exact))
	if q != 0 && q < MinCPUQuota || q > MaxCPUQuota {
		return 0, fmt.Errorf("%s is not between 1%% and 10000 cores; 150%% is one and a half", Printable(text))
	}
	return q, nil
}

// String is what ParseCPUQuota reads back.
func (q CPUQuota) String() string { return q.percent() + "%" }

// percent is a number, 100 being one core.
func (q CPUQuota) percent() string {
	text := strconv.FormatInt(int64(q/1000), 10)
	if rest := q % 1000; rest != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%03d", rest), "0")
	}
	return text
}

// DeviceMax is what a tree may do to one disk in a second. 0 is no limit.
type DeviceMax struct {
	Path                            string // of the device, or of anything in its file system
	ReadBytes, WriteBytes           uint64
	ReadOperations, WriteOperations uint64
}

// deviceKey is one limit of a line of io_max.
type deviceKey struct {
	name string // as the kernel has it
	in   func(*DeviceMax) *uint64
	read func(text string) (uint64, error)
}

var deviceKeys = []deviceKey{
	{"rbps", func(d *DeviceMax) *uint64 { return &d.ReadBytes }, parseRate},
	{"wbps", func(d *DeviceMax) *uint64 { return &d.WriteBytes }, parseRate},
	{"riops", func(d *DeviceMax) *uint64 { return &d.ReadOperations }, parseOperations},
	{"wiops", func(d *DeviceMax) *uint64 { return &d.WriteOperations }, parseOperations},
}

func parseRate(text string) (uint64, error) {
	n, err := ParseSize(text)
	return uint64(n), err
}

func parseOperations(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		err = fmt.Errorf("%s is not a number of operations", Printable(text))
	}
	return n, err
}

// Devices are the lines of IOMax. The spec must be valid.
func (l *Limits) Devices() (all []DeviceMax) {
	for line := range strings.Lines(l.IOMax) {
		if d, err := parseDevice(strings.TrimSpace(line)); err == nil {
			all = append(all, d)
		}
	}
	return all
}

var errDevice = errors.New("a line is PATH KEY=VALUE…, with the keys rbps, wbps (bytes a second, such as 10M), riops and wiops (operations a second)")

// parseDevice reads a line such as "/srv rbps=10M wiops=100". The path may hold blanks.
func parseDevice(line string) (d DeviceMax, err error) {
	given := map[string]bool{}
	for d.Path = line; ; {
		at := strings.LastIndexAny(d.Path, " \t")
		name, value, found := strings.Cut(d.Path[at+1:], "=")
		key := slices.IndexFunc(deviceKeys, func(k deviceKey) bool { return k.name == name })
		if at < 0 || !found || key < 0 {
			break
		}
		n, err := deviceKeys[key].read(value)
		switch {
		case err != nil:
			return d, fmt.Errorf("%s: %w", name, err)
		case n == 0:
			return d, fmt.Errorf("%s: 0 would let it do nothing: leave %[1]s out for no limit", name)
		case given[name]:
			return d, fmt.Errorf("%s is given twice for one device", name)
		}
		given[name] = true
		*deviceKeys[key].in(&d) = n
		d.Path = strings.TrimRight(d.Path[:at], " \t")
	}
	switch {
	case len(given) == 0:
		return d, fmt.Errorf("%s: %w", Printable(line), errDevice)
	case !strings.HasPrefix(d.Path, "/"):
		return d, fmt.Errorf("%s: %w; the path is absolute", Printable(line), errDevice)
	}
	return d, validateDir(d.Path)
}

// String is what parseDevice reads back.
func (d DeviceMax) String() string {
	text := d.Path
	for _, k := range deviceKeys {
		if n := *k.in(&d); n != 0 {
			text += fmt.Sprintf(" %s=%d", k.name, n)
		}
	}
	return text
}

// cleanDevices is an io_max as it is kept: in the order of the paths, sizes in bytes.
func cleanDevices(text string) (string, error) {
	lines := map[string]string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		d, err := parseDevice(line)
		if err != nil {
			return text, err
		}
		if lines[d.Path] != "" {
			return text, fmt.Errorf("%s stands in two lines: put all its limits into one", Printable(d.Path))
		}
		lines[d.Path] = d.String()
	}
	var all []string
	for _, path := range slices.Sorted(maps.Keys(lines)) {
		all = append(all, lines[path])
	}
	return strings.Join(all, "\n"), nil
}

// CPUs reads a list of CPUs such as 0-3,6: their numbers, each once, in order.
func CPUs(text string) ([]int, error) {
	bad := fmt.Errorf("%s is no list of CPUs: numbers from 0 to %d and ranges of them, such as 0-3,6", Printable(text), MaxCPU)
	var all []int
	for part := range strings.SplitSeq(text, ",") {
		low, high, two := strings.Cut(strings.TrimSpace(part), "-")
		first, err := strconv.ParseUint(low, 10, 16)
		last := first
		if two && err == nil {
			last, err = strconv.ParseUint(high, 10, 16)
		}
		if err != nil || last > MaxCPU || first > last || len(all) > 2*MaxCPU {
			return nil, bad
		}
		for cpu := first; cpu <= last; cpu++ {
			all = append(all, int(cpu))
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// FormatCPUs is what CPUs reads back.
func FormatCPUs(all []int) string {
	var parts []string
	for i := 0; i < len(all); {
		last := i
		for last+1 < len(all) && all[last+1] == all[last]+1 {
			last++
		}
		part := strconv.Itoa(all[i])
		if last > i {
			part += "-" + strconv.Itoa(all[last])
		}
		parts = append(parts, part)
		i = last + 1
	}
	return strings.Join(parts, ",")
}

func cleanCPUs(text string) (string, error) {
	all, err := CPUs(text)
	if err != nil {
		return text, err
	}
	return FormatCPUs(all), nil
}

// limitFields are the rows of the table that belong to Limits.
func limitFields() []Field {
	enough := func(v any) error { return enoughBytes(v.(int64), MinMemory) }
	weight := func(v any) error { return within(v.(int), 1, MaxWeight) }
	return []Field{
		{Name: "memory_max", JSON: "memory_max_bytes", Group: GroupLimit, Value: "SIZE", Live: true, noZero: true,
			Help: "memory that all its processes may use together; the kernel ends some that would use more: bytes, or with K, M, G",
			in:   func(s *Spec) any { return &s.MemoryMax }, check: enough},
		{Name: "memory_high", JSON: "memory_high_bytes", Group: GroupLimit, Value: "SIZE", Live: true, noZero: true,
			Help: "above so much memory they are slowed and give memory back, but none is ended",
			in:   func(s *Spec) any { return &s.MemoryHigh }, check: enough},
		{Name: "memory_low", JSON: "memory_low_bytes", Group: GroupLimit, Value: "SIZE", Live: true,
			Help: "so much of their memory is taken last when the machine is short of it",
			in:   func(s *Spec) any { return &s.MemoryLow }},
		{Name: "swap_max", JSON: "swap_max_bytes", Group: GroupLimit, Value: "SIZE", Live: true,
			Help: "swap that they may use; 0: none",
			in:   func(s *Spec) any { return &s.SwapMax }},
		{Name: "cpu_max", JSON: "cpu_max_percent", Group: GroupLimit, Value: "SHARE", Live: true, noZero: true,
			Help: "CPU time that they may use: percents of one core (150%) or cores (1.5)",
			in:   func(s *Spec) any { return &s.CPUMax }},
		{Name: "cpu_weight", JSON: "cpu_weight", Group: GroupLimit, Value: "NUMBER", Default: "100", Live: true, noZero: true,
			Help: "their share of CPU time against that of other processes when there is too little: 1 to 10000",
			in:   func(s *Spec) any { return &s.CPUWeight }, check: weight},
		{Name: "pids_max", JSON: "pids_max", Group: GroupLimit, Value: "NUMBER", Live: true, noZero: true,
			Help: "processes and threads that there may be at once; a fork beyond fails",
			in:   func(s *Spec) any { return &s.PidsMax }, check: func(v any) error { return within(v.(int), 1, MaxPids) }},
		{Name: "io_weight", JSON: "io_weight", Group: GroupLimit, Value: "NUMBER", Default: "100", Live: true, noZero: true,
			Help: "their share of a disk against that of other processes when it is busy: 1 to 10000",
			in:   func(s *Spec) any { return &s.IOWeight }, check: weight},
		{Name: "io_max", JSON: "io_max", Group: GroupLimit, Value: "DEVICE KEY=VALUE", Live: true, Lines: true,
			Help: "what they may do to a disk in a second: lines such as '/srv rbps=10M wbps=5M riops=100 wiops=50'; the disk is given by its device or by a path in its file system",
			in:   func(s *Spec) any { return &s.IOMax }, clean: cleanDevices},
		{Name: "cpuset_cpus", JSON: "cpuset_cpus", Group: GroupLimit, Value: "CPUS", Live: true,
			Help: "CPUs that they may run on: 0-3,6",
			in:   func(s *Spec) any { return &s.CPUSet }, clean: cleanCPUs},
		{Name: "oom", JSON: "oom_policy", Group: GroupLimit, Value: "WHAT", Default: "continue", Choices: []string{"continue", "kill"}, Live: true,
			Help: "when the kernel ends one of them for lack of memory, the others go on (continue) or end with it (kill)",
			in:   func(s *Spec) any { return &s.OOMKill }},
	}
}

// limitsOfAll are the names that limits of all runs together have.
func limitsOfAll() (names []string) {
	for _, f := range limitFields() {
		if f.Name != "oom" {
			names = append(names, f.Name)
		}
	}
	return names
}

// ParseLimits reads limits of all runs together: NAME=VALUE, several with blanks between them.
// What does not begin with the name of a limit belongs to the value before.
func ParseLimits(text string) (Limits, error) {
	given := map[string]string{}
	var names []string
	for word := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(word, "=")
		f := FieldNamed(name)
		switch {
		case f != nil && f.Group == GroupLimit && f.Name == "oom":
			return Limits{}, errors.New("oom is of one process, not of all together")
		case f != nil && f.Group == GroupLimit && given[name] != "" && !f.Lines:
			return Limits{}, fmt.Errorf("%s is given twice", name)
		case f != nil && f.Group == GroupLimit:
			if given[name] == "" {
				names = append(names, name)
			}
			given[name] += value + "\n"
		case len(names) == 0:
			return Limits{}, fmt.Errorf("%s is no limit: NAME=VALUE, such as memory_max=4G, with one of %s", Printable(word), strings.Join(limitsOfAll(), ", "))
		default:
			last := names[len(names)-1]
			given[last] = strings.TrimSuffix(given[last], "\n") + " " + word + "\n"
		}
	}
	var s Spec
	for _, name := range names {
		value := strings.TrimSuffix(given[name], "\n")
		if strings.TrimSpace(value) == "" {
			return Limits{}, fmt.Errorf("%s has no value: leave it out for no limit", name)
		}
		if err := FieldNamed(name).Set(&s, value); err != nil {
			return Limits{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s.Limits, s.Limits.validate()
}

// validate reports limits that cannot hold side by side.
func (l *Limits) validate() error {
	if l.MemoryMax == 0 {
		return nil
	}
	for _, c := range []struct {
		name  string
		value int64
	}{{"memory_high", l.MemoryHigh}, {"memory_low", l.MemoryLow}} {
		if c.value > l.MemoryMax {
			return Errorf(CodeInvalid, "%s: %s is more than memory_max (%s) lets it use: give at most that", c.name, exactSize(uint64(c.value)), exactSize(uint64(l.MemoryMax)))
		}
	}
	return nil
}
