package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// documentTitle is the first line of a document of results, by which it is known.
const documentTitle = "# Where it is tested"

const documentHead = documentTitle + `

Written by ` + "`make test-matrix DOCS=docs/matrix.md`" + `, which takes a ROW and a KERNEL too and then leaves the
other results as they are; change integration/guest/table.go, not this file. Each place is a kind of
virtual machine that boots a kernel of Debian's; *this machine* is the one that the tests were started
on. A cell says how many tests passed, failed or were skipped, how long the machine was on, and in
brackets the day and the commit that were tested. Virtual machines without hardware support compute
ten times slower.

`

// Cells without a result.
const (
	notInTable = "–"
	notYetRun  = "not yet run"
)

// document is a Markdown file with the results of the table. It is brought up to date place by
// place: a run changes the cells of what it tested, and the others stay as they are.
type document struct {
	path   string
	tested string // what this run's cells say of it: the day and the commit
}

// openDocument refuses a file that is something else. There may be none yet.
func openDocument(path string) (document, error) {
	d := document{path: path, tested: time.Now().Format(time.DateOnly)}
	// The sources that are tested are those of now. Of a copy without git the day must do.
	if commit, err := exec.Command("git", "--git-dir=.git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*").Output(); err == nil {
		d.tested += ", " + string(bytes.TrimSpace(commit))
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	_, err = readCells(text)
	if err != nil {
		return d, fmt.Errorf("-docs %s: %w", path, err)
	}
	return d, nil
}

// update puts a run's results into the document. Several runs may do so at the same time.
func (d document) update(r *results) error {
	f, err := os.OpenFile(d.path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", d.path, err)
	}
	text, err := os.ReadFile(d.path)
	if err != nil {
		return err
	}
	cells, err := readCells(text)
	if err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	r.mu.Lock()
	for at, result := range r.cells {
		cells.text[at] = fmt.Sprintf("%s (%s)", result, d.tested)
		if at[1] == host {
			cells.host = r.host
		}
	}
	r.mu.Unlock()
	// Written over in place, since the lock is on this file.
	next := []byte(cells.markdown(table))
	if _, err := f.WriteAt(next, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(next)))
}

// cells are the results of a document.
type cells struct {
	host string               // the title of the column of this machine
	text map[[2]string]string // by place and kernel
}

// readCells reads the table of a document, which may be empty.
func readCells(document []byte) (cells, error) {
	c := cells{host: "this machine", text: map[[2]string]string{}}
	if len(document) == 0 {
		return c, nil
	}
	if !bytes.HasPrefix(document, []byte(documentTitle+"\n")) {
		return c, fmt.Errorf("the file does not begin with %q: it is no document of results", documentTitle)
	}
	var kernels []string
	for line := range strings.Lines(string(document)) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "| ")
		if !ok || strings.HasPrefix(line, "---") {
			continue
		}
		fields := strings.Split(strings.TrimSuffix(line, " |"), " | ")
		if kernels == nil {
			for _, title := range fields[1:] {
				k, _ := strings.CutPrefix(title, "Linux ")
				if !slices.Contains(allKernels, k) {
					k, c.host = host, title
				}
				kernels = append(kernels, k)
			}
			continue
		}
		if len(fields) != len(kernels)+1 {
			return c, fmt.Errorf("%d columns are expected in the line of %q, and there are %d", len(kernels)+1, fields[0], len(fields))
		}
		for i, k := range kernels {
			if fields[i+1] != notInTable && fields[i+1] != notYetRun {
				c.text[[2]string{fields[0], k}] = fields[i+1]
			}
		}
	}
	return c, nil
}

// markdown is the document. Results of what the table does not have any more are left out.
func (c cells) markdown(table []row) string {
	var b strings.Builder
	b.WriteString(documentHead)
	columns := append(slices.Clone(allKernels), host)
	line := func(fields ...string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(fields, " | ")) }
	titles := []string{"place"}
	for _, k := range columns {
		titles = append(titles, columnTitle(k, c.host))
	}
	line(titles...)
	fmt.Fprintf(&b, "|%s\n", strings.Repeat(" --- |", len(titles)))
	for _, row := range table {
		fields := []string{row.place}
		for _, k := range columns {
			cell := notInTable
			if slices.Contains(row.kernels, k) {
				cell = notYetRun
				if text, ok := c.text[[2]string{row.place, k}]; ok {
					cell = text
				}
			}
			fields = append(fields, cell)
		}
		line(fields...)
	}
	b.WriteString("\nWhat the tests of a place show:\n\n")
	for _, row := range table {
		fmt.Fprintf(&b, "- **%s**: %s\n", row.place, row.shows)
	}
	return b.String()
}
