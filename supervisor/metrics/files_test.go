package metrics

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	docs  = "../../docs/metrics.md"
	rules = "../../packaging/prometheus/alerts"
)

// ours are the metrics that a text names.
func ours(t *testing.T, path string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	names = regexp.MustCompile(`\bprocessmanager_[a-z_]*[a-z]\b`).FindAllString(string(text), -1)
	slices.Sort(names)
	return slices.Compact(names)
}

// The documentation has each metric, and names none that there is not; neither do the rules.
func TestDocsAndRulesNameWhatThereIs(t *testing.T) {
	var told []string
	for line := range strings.Lines(scrape(t, server(everything("a")), "")) {
		if name := regexp.MustCompile(`^processmanager_[a-z_]+`).FindString(line); name != "" && !slices.Contains(told, name) {
			told = append(told, name)
		}
	}
	documented := ours(t, docs)
	for _, name := range told {
		if !slices.Contains(documented, name) {
			t.Errorf("%s does not tell of %s", docs, name)
		}
	}
	for _, path := range []string{docs, rules + ".yml", rules + "_test.yml"} {
		for _, name := range ours(t, path) {
			if !slices.Contains(told, name) {
				t.Errorf("%s names %s, which is not told", path, name)
			}
		}
	}
}

// Each series of the table is in the documentation with all its labels.
func TestDocsNameTheLabels(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range families {
		for _, series := range families[i].series {
			for label := range strings.SplitSeq(series, ",") {
				name, value, _ := strings.Cut(label, "=")
				if !strings.Contains(string(text), "`"+name+"`") || !strings.Contains(string(text), "`"+strings.Trim(value, `"`)+"`") {
					t.Errorf("%s does not tell of %s of %s", docs, label, families[i].name)
				}
			}
		}
	}
}

func TestDocsTellTheNumberOfSeries(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range families {
		n += max(len(families[i].series), 1)
	}
	if want := fmt.Sprintf("times at most %d.", n); !strings.Contains(string(text), want) {
		t.Errorf("%s does not say %q", docs, want)
	}
}

// The alert rules are right, each alert comes when it should, and none when all is well.
func TestAlertsCome(t *testing.T) {
	promtool := tool(t, "promtool", "prometheus")
	for _, args := range [][]string{{"check", "rules", rules + ".yml"}, {"test", "rules", rules + "_test.yml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("%q: %v: %s", args, err, out)
		}
	}
	alerts, err := os.ReadFile(rules + ".yml")
	if err != nil {
		t.Fatal(err)
	}
	played, err := os.ReadFile(rules + "_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`- alert: (\w+)`).FindAllSubmatch(alerts, -1) {
		if name := string(found[1]); strings.Count(string(played), "alertname: "+name+"}") != 1 || !strings.Contains(string(played), `alertname="`+name+`"`) {
			t.Errorf("%s is not played, or not both ways", name)
		}
	}
}
