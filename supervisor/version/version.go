// Package version says which build a program is, and on what it runs.
package version

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/freeflowuniverse/processmanager/cgroup"
)

// The Makefile stamps these with -ldflags -X. Empty: somebody else has built the program.
var (
	number string // of the release
	commit string // with -dirty behind it where the sources had changes
)

const unknown = "unknown"

// Number is the release that the program is of, or "unknown".
func Number() string { return cmp.Or(number, module(), unknown) }

// Commit is the commit that the program was built from, or "unknown".
func Commit() string { return cmp.Or(commit, revision(), unknown) }

// module is the version of the module where the go command was asked for one.
func module() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "(devel)" {
		return ""
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}

// revision is the commit that the go command has stamped.
func revision() (hash string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	dirty := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			hash = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "-dirty"
			}
		}
	}
	if hash == "" {
		return ""
	}
	return hash + dirty
}

// Write writes a fact per line: the release, the commit, Go, the kernel, and where cgroup v2
// is. proc is where procfs is mounted.
func Write(w io.Writer, program, proc string) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%s\n", program, Number())
	fmt.Fprintf(t, "commit\t%s\n", Commit())
	fmt.Fprintf(t, "go\t%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(t, "kernel\t%s\n", kernel(proc))
	fmt.Fprintf(t, "cgroup\t%s\n", hierarchy(proc))
	t.Flush()
	_, err := w.Write(b.Bytes())
	return err
}

// kernel is the release of the kernel, from sys/kernel/osrelease.
func kernel(proc string) string {
	release, err := os.ReadFile(proc + "/sys/kernel/osrelease")
	if err != nil {
		return unknown + ": " + err.Error()
	}
	return "Linux " + strings.TrimSpace(string(release))
}

// hierarchy is how cgroup v2 is mounted, and where.
func hierarchy(proc string) string {
	h, err := cgroup.Find(proc)
	if err != nil {
		return "none: " + strings.TrimPrefix(err.Error(), "cgroup: ")
	}
	return fmt.Sprintf("%v, v2 at %s", h.Kind, h.Mount)
}
