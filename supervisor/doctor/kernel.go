package doctor

import (
	"fmt"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// news is what later kernels added that we use.
var news = []struct {
	major, minor int
	what         string
}{
	{5, 14, "cgroup.kill"},
	{5, 19, "the peak of memory"},
	{6, 1, "the peak of processes"},
}

func (e *exam) release() []process.Finding {
	const subject = "kernel"
	var major, minor int
	if _, err := fmt.Sscanf(e.kernel, "%d.%d", &major, &minor); err != nil {
		return unread(subject, fmt.Errorf("release %q: %w", e.kernel, err))
	}
	var later []string
	for _, n := range news {
		if major < n.major || major == n.major && minor < n.minor {
			later = append(later, fmt.Sprintf("%d.%d %s", n.major, n.minor, n.what))
		}
	}
	if len(later) == 0 {
		return one(subject, process.LevelOK, "", "Linux %s has all that we use", e.kernel)
	}
	newest := news[len(news)-1]
	return one(subject, process.LevelNote, fmt.Sprintf("boot Linux %d.%d or later", newest.major, newest.minor),
		"Linux %s; later ones have more: %s", e.kernel, strings.Join(later, ", "))
}
