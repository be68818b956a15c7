package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// result is how a row went on a kernel.
type result struct {
	passed, failed, skipped int
	took                    time.Duration
	missing                 bool // Debian has no such kernel any more
}

// result counts the tests of a guest that was to test so many packages.
func (o outcome) result(packages int) result {
	r := result{took: o.took}
	for _, run := range o.runs {
		n := count(run.output)
		r.passed, r.failed, r.skipped = r.passed+n["PASS"], r.failed+n["FAIL"], r.skipped+n["SKIP"]
		if run.code != 0 && n["FAIL"] == 0 { // it has crashed, or not ended
			r.failed++
		}
	}
	r.failed += packages - len(o.runs)
	if o.err != nil {
		r.failed = max(r.failed, 1)
	}
	return r
}

func (r result) String() string {
	if r.missing {
		return "no such kernel"
	}
	s := fmt.Sprintf("%d passed", r.passed)
	if r.failed > 0 {
		s = fmt.Sprintf("%d FAILED, %s", r.failed, s)
	}
	if r.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", r.skipped)
	}
	return fmt.Sprintf("%s, %.0f s", s, r.took.Seconds())
}

// results is the table with what came of it. Guests may end at the same time.
type results struct {
	rows    []row
	kernels []string // the columns
	host    string   // the title of that of this machine

	mu    sync.Mutex
	cells map[[2]string]result // by place and kernel
}

func newResults(rows []row) *results {
	r := &results{rows: rows, host: thisHost("/proc"), cells: map[[2]string]result{}}
	for _, k := range append(slices.Clone(allKernels), host) {
		if slices.ContainsFunc(rows, func(row row) bool { return slices.Contains(row.kernels, k) }) {
			r.kernels = append(r.kernels, k)
		}
	}
	return r
}

// thisHost names the kernel of this machine, and how it has mounted cgroups.
func thisHost(proc string) string {
	release, _ := os.ReadFile(proc + "/sys/kernel/osrelease")
	mounts, _ := os.ReadFile(proc + "/self/mountinfo")
	v1, v2 := bytes.Contains(mounts, []byte(" - cgroup ")), bytes.Contains(mounts, []byte(" - cgroup2 "))
	hierarchy := "no cgroups"
	switch {
	case v1 && v2:
		hierarchy = "hybrid"
	case v1:
		hierarchy = "cgroup v1"
	case v2:
		hierarchy = "unified"
	}
	series := regexp.MustCompile(`^\d+\.\d+`).Find(release) // what else its release says is of no use to others
	return fmt.Sprintf("Linux %s (%s)", series, hierarchy)
}

// add counts a result to those of a place on kernels.
func (r *results) add(place string, n result, kernels ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range kernels {
		at := [2]string{place, k}
		sum := r.cells[at]
		sum.passed, sum.failed, sum.skipped = sum.passed+n.passed, sum.failed+n.failed, sum.skipped+n.skipped
		sum.took, sum.missing = sum.took+n.took, n.missing
		r.cells[at] = sum
	}
}

// columnTitle is that of a kernel; that of this machine is handed in.
func columnTitle(kernel, here string) string {
	if kernel == host {
		return here
	}
	return "Linux " + kernel
}

// grid is the table with a line of titles.
func (r *results) grid() [][]string {
	titles := []string{"place"}
	for _, k := range r.kernels {
		titles = append(titles, columnTitle(k, r.host))
	}
	lines := [][]string{titles}
	for _, row := range r.rows {
		line := []string{row.place}
		for _, k := range r.kernels {
			cell := notInTable
			if result, ok := r.cells[[2]string{row.place, k}]; ok {
				cell = result.String()
			}
			line = append(line, cell)
		}
		lines = append(lines, line)
	}
	return lines
}

// text is the table for a terminal.
func (r *results) text() string {
	grid := r.grid()
	width := make([]int, len(grid[0]))
	for _, line := range grid {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, line := range grid {
		for i, cell := range line {
			if i < len(line)-1 {
				cell += strings.Repeat(" ", width[i]+2-utf8.RuneCountInString(cell))
			}
			b.WriteString(cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
