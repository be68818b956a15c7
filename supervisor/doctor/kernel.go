package doctor

import (
	"fmt"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// oldest is the first Linux that a daemon can work on: the first with cgroup.kill.
var oldest = linux{5, 14}

// news is what later kernels added that we use.
var news = []struct {
	since linux
	what  string
}{
	{linux{5, 19}, "the peak of memory"},
	{linux{6, 1}, "the peak of processes"},
}

// linux is a version of the kernel.
type linux struct{ major, minor int }

func (v linux) before(other linux) bool {
	return v.major < other.major || v.major == other.major && v.minor < other.minor
}

func (v linux) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// parseRelease reads a release such as 6.1.0-18-amd64.
func parseRelease(release string) (v linux, err error) {
	if _, err = fmt.Sscanf(release, "%d.%d", &v.major, &v.minor); err != nil {
		err = fmt.Errorf("release %q: %w", release, err)
	}
	return v, err
}

// Kill is whether groups have cgroup.kill.
type Kill int

const (
	KillUnknown Kill = iota // no group has been seen yet
	KillMissing
	KillThere
)

// CheckKernel says in one line that a kernel is too old for a daemon, if it is. What
// groups have decides, where a group has been seen, for distributions bring features to
// older kernels; else the release does.
func CheckKernel(release string, kill Kill) error {
	v, err := parseRelease(release)
	if kill == KillMissing || kill == KillUnknown && err == nil && v.before(oldest) {
		return fmt.Errorf("kernel %s has no cgroup.kill, without which trees cannot be ended: Linux %s or later is needed", release, oldest)
	}
	return nil
}

func (e *exam) release() []process.Finding {
	const subject = "kernel"
	if err := CheckKernel(e.kernel, e.tree.kill); err != nil {
		return one(subject, process.LevelProblem, fmt.Sprintf("boot Linux %s or later", oldest), "%v", err)
	}
	v, err := parseRelease(e.kernel)
	if err != nil {
		return unread(subject, err)
	}
	var later []string
	for _, n := range news {
		if v.before(n.since) {
			later = append(later, fmt.Sprintf("%s %s", n.since, n.what))
		}
	}
	if len(later) == 0 {
		return one(subject, process.LevelOK, "", "Linux %s has all that we use", e.kernel)
	}
	return one(subject, process.LevelNote, fmt.Sprintf("boot Linux %s or later", news[len(news)-1].since),
		"Linux %s; later ones have more: %s", e.kernel, strings.Join(later, ", "))
}
