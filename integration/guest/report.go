package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// transcript is what a guest has said on its second serial port.
type transcript struct {
	release string  // of the running kernel; empty if it never came up
	up      float64 // when it was ready for tests, in seconds since its boot
	runs    []testRun
	done    bool
}

// testRun is one binary's. A code of -1 means that it did not end.
type testRun struct {
	pkg        string
	code       int
	start, end float64 // seconds since the guest's boot
	output     []byte
}

var markLine = regexp.MustCompile(`^##(?:(UP) ([0-9.]+) (\S+)|(RUN) ([0-9.]+) (\S+)|(RC)=(\d+) ([0-9.]+) (\S+)|(DONE))\r?$`)

// parseTranscript reads it as far as it goes.
func parseTranscript(text []byte) transcript {
	var (
		t    transcript
		open *testRun
	)
	for line := range bytes.Lines(text) {
		m := markLine.FindSubmatch(bytes.TrimSuffix(line, []byte("\n")))
		switch {
		case m == nil:
			if open != nil {
				open.output = append(open.output, line...)
			}
		case m[1] != nil && t.release != "": // it was booted anew by a test
		case m[1] != nil:
			t.up, t.release = seconds(m[2]), string(m[3])
		case m[4] != nil && open != nil && open.pkg == string(m[6]): // it goes on after that
			open.start = seconds(m[5])
		case m[4] != nil:
			t.runs = append(t.runs, testRun{pkg: string(m[6]), code: -1, start: seconds(m[5])})
			open = &t.runs[len(t.runs)-1]
		case m[7] != nil && open != nil:
			open.code, _ = strconv.Atoi(string(m[8]))
			open.end = seconds(m[9])
			// The mark's own line break.
			open.output = bytes.TrimSuffix(open.output, []byte("\n"))
			open = nil
		case m[11] != nil:
			t.done = true
		}
	}
	return t
}

func seconds(b []byte) float64 {
	f, _ := strconv.ParseFloat(string(b), 64)
	return f
}

// reporter prints what go test would. Guests may end at the same time.
type reporter struct {
	out     io.Writer
	verbose bool

	mu             sync.Mutex
	guests, failed int
}

// missing is for a kernel that there is none of.
func (r *reporter) missing(version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, "?   \tlinux %s\t[Debian has no such kernel any more]\n", version)
}

// broken is for a package whose tests do not compile.
func (r *reporter) broken(pkg string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
	fmt.Fprintf(r.out, "FAIL\t%s [build failed]\n", pkg)
}

func (r *reporter) guest(version string, packages []string, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guests++
	where := "linux " + version
	for i, pkg := range packages {
		if i >= len(o.runs) {
			r.failed++
			fmt.Fprintf(r.out, "FAIL\t%s\t[%s, not run]\n", pkg, where)
			continue
		}
		r.run(where, o.runs[i])
	}
	if o.err != nil || slices.ContainsFunc(o.runs, func(t testRun) bool { return t.code != 0 }) {
		r.evidence("console of "+where+" ("+o.kernel+")", o.console)
		r.evidence("journal of "+where, o.journal)
	}
	if o.err != nil {
		r.failed++
		fmt.Fprintf(r.out, "FAIL\t%s: %v\n", where, o.err)
		return
	}
	fmt.Fprintf(r.out, "%s: %s, %s, up after %.1fs, %.1fs in all\n", where, o.release, o.accelerator, o.up, o.took.Seconds())
}

// evidence shows the end of what a machine has said beside its tests.
func (r *reporter) evidence(what string, text []byte) {
	if len(bytes.TrimSpace(text)) > 0 {
		fmt.Fprintf(r.out, "--- %s\n%s\n", what, lastLines(text, 100))
	}
}

func (r *reporter) run(where string, t testRun) {
	if t.code != 0 || r.verbose {
		fmt.Fprintf(r.out, "=== %s: %s\n", where, t.pkg)
		r.out.Write(ended(t.output))
	} else {
		r.out.Write(skips(t.output))
	}
	switch t.code {
	case 0:
		fmt.Fprintf(r.out, "ok  \t%s\t%.3fs\t[%s, %s]\n", t.pkg, t.end-t.start, where, tally(t.output))
	case -1:
		r.failed++
		fmt.Fprintf(r.out, "FAIL\t%s\t[%s, did not end]\n", t.pkg, where)
	default:
		r.failed++
		fmt.Fprintf(r.out, "FAIL\t%s\t%.3fs\t[%s, %s, exit %d]\n", t.pkg, t.end-t.start, where, tally(t.output), t.code)
	}
}

// close says how it all went.
func (r *reporter) close() error {
	switch {
	case r.failed > 0:
		fmt.Fprintln(r.out, "FAIL")
		return errFailed
	case r.guests == 0:
		return errors.New("none of the kernels is in Debian")
	}
	return nil
}

var verdict = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): `)

// count counts the tests by how they ended, those below others too.
func count(output []byte) map[string]int {
	n := map[string]int{}
	for _, m := range verdict.FindAllSubmatch(output, -1) {
		n[string(m[1])]++
	}
	return n
}

// tally is that count for people.
func tally(output []byte) string {
	ended := count(output)
	s := fmt.Sprintf("%d passed", ended["PASS"])
	if n := ended["FAIL"]; n > 0 {
		s += fmt.Sprintf(", %d failed", n)
	}
	if n := ended["SKIP"]; n > 0 {
		s += fmt.Sprintf(", %d skipped", n)
	}
	return s
}

// skips picks the tests that were skipped, and, from the lines above, why.
func skips(output []byte) []byte {
	var why, out bytes.Buffer
	for line := range bytes.Lines(output) {
		text := strings.TrimLeft(string(line), " ")
		switch {
		case strings.HasPrefix(text, "--- SKIP: "):
			out.Write(line)
			out.Write(why.Bytes())
			why.Reset()
		case strings.HasPrefix(text, "--- "), strings.HasPrefix(text, "=== "):
			why.Reset()
		default:
			why.Write(line)
		}
	}
	return out.Bytes()
}

// lastLines gives the end of a text.
func lastLines(text []byte, n int) []byte {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-n):], []byte("\n"))
}

// ended gives a text that ends its last line.
func ended(text []byte) []byte {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return append(text, '\n')
	}
	return text
}
