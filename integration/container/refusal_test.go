package container

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// way is what an error names to mend it: the flags of an engine.
var way = regexp.MustCompile(`with (--[^,(]+)`)

// ways are those that an error names.
func ways(t *testing.T, text string) (flags []string) {
	t.Helper()
	for _, m := range way.FindAllStringSubmatch(text, -1) {
		flags = append(flags, strings.TrimSpace(m[1]))
	}
	if len(flags) < 2 {
		t.Fatalf("it names %q: %s", flags, text)
	}
	return flags
}

// refused is what a daemon says that cannot start in a container: one line.
func (e engine) refused(flags string) string {
	e.t.Helper()
	c := e.create(flags, without...)
	if code := c.code(); code != 1 {
		e.t.Errorf("exit code %d", code)
	}
	said := c.said()
	if strings.Contains(said, "\n") || !strings.HasPrefix(said, "processmanager: ") {
		e.t.Errorf("more than one line: %s", said)
	}
	return said
}

// Where cgroup v2 is read-only the daemon says in one line what mends that, and each way that it
// names does.
func TestAReadOnlyHierarchyIsRefused(t *testing.T) {
	t.Parallel()
	e := root(t)
	said := e.refused("")
	if !strings.Contains(said, "the cgroup file system is read-only") {
		t.Errorf("said %s", said)
	}
	outside := e.refused("-v /sys/fs/cgroup:/sys/fs/cgroup:rw") // it shows the host's groups, and not its own
	if got, want := ways(t, outside), ways(t, said); !slices.Equal(got, want) {
		t.Errorf("it names %q and %q", got, want)
	}
	for _, flags := range ways(t, said) {
		t.Run(flags, func(t *testing.T) {
			c := root(t).start(flags, without...)
			c.controllers()
			c.ordered()
			c.stop()
			c.inOrder()
		})
	}
}

// What holds for root's containers holds for those of an ordinary user, with the controllers that
// the user has been given.
func TestAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	e := ordinary(t)
	for _, flags := range ways(t, e.refused("")) {
		t.Run(flags, func(t *testing.T) {
			c := ordinary(t).start(flags, without...)
			c.controllers()
			c.ordered()
			c.do("kill", "-s", "KILL", c.name)
			c.code()
			c.do("start", c.name)
			c.ready()
			if s := c.status()["web"]; s.Cause != "lost" {
				t.Errorf("%+v", s)
			}
			c.ordered()
			c.stop()
			c.inOrder()
		})
	}
}
