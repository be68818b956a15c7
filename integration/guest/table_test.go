package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each row must be one that can be run, and found by its name.
func TestRowsOfTheTableAreSound(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range table {
		if r.place == "" || r.shows == "" || seen[r.place] || strings.ContainsAny(r.place+r.shows, "|\n") {
			t.Errorf("%q, %q: not one line, or twice", r.place, r.shows)
		}
		seen[r.place] = true
		o, err := parseOptions(slices.Concat(r.flags, r.tests), io.Discard)
		if err != nil {
			t.Errorf("%s: %v", r.place, err)
			continue
		}
		for _, pkg := range o.packages {
			if _, err := os.Stat(filepath.Join("../..", pkg)); err != nil {
				t.Errorf("%s: %v", r.place, err)
			}
		}
		for _, f := range o.files {
			if _, err := os.Stat(filepath.Join("../..", f.path)); err != nil && !strings.HasPrefix(f.path, "bin/") {
				t.Errorf("%s: %v", r.place, err)
			}
		}
		for _, k := range r.kernels {
			if !slices.Contains(allKernels, k) && (k != host || len(r.kernels) > 1) {
				t.Errorf("%s: kernel %q", r.place, k)
			}
		}
		for _, k := range r.quick {
			if !slices.Contains(r.kernels, k) {
				t.Errorf("%s: kernel %q is quick, and not in the row", r.place, k)
			}
		}
	}
}

// Tests that are for a place of their own would be run nowhere else.
func TestEveryPlaceIsInTheTable(t *testing.T) {
	const notAPlace = "guest host openmetrics storm testdata vixie"
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || slices.Contains(strings.Fields(notAPlace), e.Name()) {
			continue
		}
		if !slices.ContainsFunc(table, func(r row) bool { return slices.Contains(r.tests, "./integration/"+e.Name()) }) {
			t.Errorf("integration/%s is in no row", e.Name())
		}
	}
}

func TestQuickChoiceHasEveryKernel(t *testing.T) {
	rows, err := choose(table, quickChoice, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range allKernels {
		if !slices.ContainsFunc(rows, func(r row) bool { return slices.Contains(r.kernels, k) }) {
			t.Errorf("Linux %s is in no row", k)
		}
	}
}

func TestRowsAreChosen(t *testing.T) {
	table := []row{
		{place: "a", kernels: []string{"6.1", "6.12"}, quick: []string{"6.12"}},
		{place: "b", kernels: []string{"6.1"}},
		{place: "c", kernels: []string{host}},
	}
	for _, c := range []struct {
		choice, places, kernels, want string
	}{
		{"all", "", "", "a:6.1,6.12 b:6.1 c:host"},
		{"quick", "", "", "a:6.12"},
		{"all", "b", "", "b:6.1"},
		{"all", "", "6.12", "a:6.12"},
		{"all", "", "host", "c:host"},
		{"quick", "b", "", ""},
		{"all", "d", "", ""},
		{"some", "", "", ""},
	} {
		rows, err := choose(table, c.choice, strings.Fields(c.places), strings.Fields(c.kernels))
		var got []string
		for _, r := range rows {
			got = append(got, r.place+":"+strings.Join(r.kernels, ","))
		}
		if text := strings.Join(got, " "); text != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: got %q, %v", c, text, err)
		}
	}
}

func TestResultsShowEachPlaceAndKernel(t *testing.T) {
	r := newResults([]row{
		{place: "a", shows: "this", kernels: []string{"6.1", "6.12"}},
		{place: "long name", shows: "that", kernels: []string{host}},
	})
	r.host = "here"
	r.add("a", outcome{transcript: parseTranscript([]byte(finished)), took: 1400 * time.Millisecond}.result(2), "6.1")
	r.add("a", result{missing: true}, "6.12")
	r.add("long name", result{passed: 7, took: time.Minute}, host)
	const want = `place      Linux 6.1                           Linux 6.12      here
a          1 FAILED, 1 passed, 1 skipped, 1 s  no such kernel  –
long name  –                                   –               7 passed, 60 s
`
	if got := r.text(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestThisHostIsNamedByKernelAndHierarchy(t *testing.T) {
	for mounts, want := range map[string]string{
		"1 0 0:1 / /a rw - cgroup cgroup rw,cpu\n2 0 0:2 / /b rw - cgroup2 cgroup2 rw\n": "Linux 6.1 (hybrid)",
		"2 0 0:2 / /b rw - cgroup2 cgroup2 rw\n":                                         "Linux 6.1 (unified)",
		"1 0 0:1 / /a rw - cgroup cgroup rw,cpu\n":                                       "Linux 6.1 (cgroup v1)",
		"3 0 0:3 / / rw - ext4 /dev/vda rw\n":                                            "Linux 6.1 (no cgroups)",
	} {
		proc := t.TempDir()
		for name, text := range map[string]string{"sys/kernel/osrelease": "6.1.0-50\n", "self/mountinfo": mounts} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(proc, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(proc, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := thisHost(proc); got != want {
			t.Errorf("%q: got %s, want %s", mounts, got, want)
		}
	}
}

// Nothing that did not come to its end may count as passed.
func TestWhatDidNotEndHasFailed(t *testing.T) {
	whole := parseTranscript([]byte(finished[:strings.Index(finished, "\n##RUN 4.70")]))
	for name, o := range map[string]outcome{
		"a package not run":   {transcript: whole},
		"a guest that hangs":  {transcript: transcript{runs: append(slices.Clone(whole.runs), whole.runs...)}, err: io.EOF},
		"a package that hung": {transcript: parseTranscript([]byte(finished[:strings.Index(finished, "--- FAIL")]))},
	} {
		if r := o.result(2); r.failed != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
