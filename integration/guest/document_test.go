package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A document is brought up to date place by place: what was not run stays as it is.
func TestAPartOfTheTableReplacesItsOwnResultsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "matrix.md")
	ran := func(tested, place, kernel, on string, n result) string {
		t.Helper()
		r := newResults(table)
		r.host = on
		r.add(place, n, kernel)
		if err := (document{path, tested}).update(r); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	ran("2026-11-01, 1111111", "systemd service", "6.1", "", result{failed: 1, passed: 2, took: time.Minute})
	ran("2026-11-02, 2222222", "packages", "6.12", "", result{passed: 17, skipped: 1, took: 400 * time.Second})
	ran("2026-11-02, 2222222", "this machine", host, "Linux 6.9.0 (hybrid)", result{passed: 5})
	ran("2026-11-03, 3333333", "systemd service", "6.18", "Linux 7.0.0 (unified)", result{missing: true})
	got := ran("2026-11-04, 4444444", "systemd service", "6.1", "Linux 7.0.0 (unified)", result{passed: 3, took: time.Minute})
	for _, line := range []string{
		"| place | Linux 6.1 | Linux 6.12 | Linux 6.18 | Linux 6.9.0 (hybrid) |\n| --- | --- | --- | --- | --- |\n",
		"| systemd service | 3 passed, 60 s (2026-11-04, 4444444) | not yet run | no such kernel (2026-11-03, 3333333) | – |\n",
		"| packages | – | 17 passed, 1 skipped, 400 s (2026-11-02, 2222222) | – | – |\n",
		"| this machine | – | – | – | 5 passed, 0 s (2026-11-02, 2222222) |\n",
		"- **packages**: the .deb and",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	if strings.Contains(got, "FAILED") {
		t.Errorf("an older result is left:\n%s", got)
	}
}

// Two runs that end together must not lose each other's results.
func TestRunsThatEndTogetherAllComeIntoTheDocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "matrix.md")
	var runs sync.WaitGroup
	want := 0
	for _, row := range table {
		for _, k := range row.kernels {
			want++
			runs.Go(func() {
				r := newResults(table)
				r.add(row.place, result{passed: 1}, k)
				if err := (document{path, "today"}).update(r); err != nil {
					t.Error(err)
				}
			})
		}
	}
	runs.Wait()
	text, err := os.ReadFile(path)
	if got := strings.Count(string(text), "1 passed, 0 s (today)"); got != want || err != nil {
		t.Errorf("%d of %d results, %v, in\n%s", got, want, err, text)
	}
}

func TestResultsOfWhatIsNotInTheTableAreLeftOut(t *testing.T) {
	text := documentTitle + "\n\n| place | Linux 6.1 |\n| --- | --- |\n| no such place | 1 passed, 2 s |\n| packages | 1 passed, 2 s |\n| systemd service | 1 passed, 2 s |\n"
	c, err := readCells([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got := c.markdown(table)
	if strings.Contains(got, "no such place") || strings.Count(got, "1 passed, 2 s") != 1 {
		t.Errorf("got\n%s", got)
	}
}

// A file that is something else must not be written over.
func TestADocumentThatIsNoneIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"README.md": "# Another title\n\n| place | Linux 6.1 |\n",
		"cut.md":    documentTitle + "\n\n| place | Linux 6.1 | Linux 6.12 |\n| --- | --- | --- |\n| packages | 1 passed |\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := openDocument(path); err == nil {
			t.Errorf("%s was taken", name)
		}
		if err := (document{path, "today"}).update(newResults(table)); err == nil {
			t.Errorf("%s was written over", name)
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Errorf("%s is now %q", name, got)
		}
	}
	if _, err := openDocument(filepath.Join(dir, "none.md")); err != nil {
		t.Errorf("one that is not there yet: %v", err)
	}
}
