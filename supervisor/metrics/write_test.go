package metrics

import (
	"bytes"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const theOpenMetrics = "application/openmetrics-text; version=1.0.0"

// scrape is the answer in a format, or in that which is given to those who ask for none.
func scrape(t *testing.T, s *Server, accept string) string {
	t.Helper()
	r := get(s, "/metrics", accept)
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%s, %v: %s", r.Status, err, body)
	}
	return string(body)
}

// of are the lines of processes.
func of(scrape string) (lines []string) {
	for line := range strings.Lines(scrape) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func TestEachFigureIsInItsSeries(t *testing.T) {
	got := of(scrape(t, server(everything("a.b:c@d-e")), ""))
	want := `cpu_seconds_total{mode="user"} 1.5
cpu_seconds_total{mode="system"} 0.00002
throttled_seconds_total{} 3
memory_bytes{kind="current"} 11
memory_bytes{kind="peak"} 12
memory_bytes{kind="swap"} 13
memory_bytes{kind="anon"} 14
memory_bytes{kind="file"} 15
memory_bytes{kind="kernel"} 16
memory_bytes{kind="shmem"} 17
pids{} 3
io_bytes_total{direction="read"} 1099511627776
io_bytes_total{direction="write"} 0
pressure_seconds_total{resource="cpu",stalled="some"} 0.000001
pressure_seconds_total{resource="cpu",stalled="all"} 0.000002
pressure_seconds_total{resource="memory",stalled="some"} 0.000003
pressure_seconds_total{resource="memory",stalled="all"} 0.000004
pressure_seconds_total{resource="io",stalled="some"} 0.000005
pressure_seconds_total{resource="io",stalled="all"} 0.000006
oom_kills_total{} 2
state{state="scheduled"} 0
state{state="waiting"} 0
state{state="backoff"} 0
state{state="starting"} 0
state{state="running"} 0
state{state="paused"} 1
state{state="stopping"} 0
state{state="stopped"} 0
state{state="completed"} 0
state{state="failed"} 0
start_time_seconds{} 1700000000.25
last_exit_code{} 137
runs_total{cause="exit"} 9
runs_total{cause="signal"} 0
runs_total{cause="stop"} 0
runs_total{cause="shutdown"} 0
runs_total{cause="deadline"} 0
runs_total{cause="oom"} 0
runs_total{cause="start"} 0
runs_total{cause="lost"} 0
runs_total{cause="unhealthy"} 0
runs_total{cause="replaced"} 1
restarts_total{} 4
schedule_next_seconds{} 1800000000
schedule_skipped_total{reason="overlap"} 1
schedule_skipped_total{reason="missed"} 2
schedule_skipped_total{reason="paused"} 3
schedule_skipped_total{reason="on_request"} 4`
	want = strings.NewReplacer("\n", "\n"+prefix, "{}", `{name="a.b:c@d-e"}`, "{", `{name="a.b:c@d-e",`).Replace(prefix + want)
	if lines := strings.Split(want, "\n"); !slices.Equal(got, lines) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

// A figure that nobody knows has no series, instead of one that says 0.
func TestWhatIsNotKnownIsAbsent(t *testing.T) {
	for _, line := range of(scrape(t, server(process.Sample{Name: "a", State: process.Stopped}), "")) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, prefix), "{")
		if !slices.Contains([]string{"cpu_seconds_total", "state", "runs_total", "restarts_total"}, name) {
			t.Error(line)
		}
	}
}

// The words of the labels are those of the states and the causes: one that is added has a
// series.
func TestEachProcessIsInOneState(t *testing.T) {
	for state := process.Scheduled; ; state++ {
		if _, err := state.MarshalText(); err != nil {
			if state != process.Failed+1 {
				t.Errorf("%v is behind the last", state)
			}
			return
		}
		var is []string
		for _, line := range of(scrape(t, server(process.Sample{Name: "a", State: state}), "")) {
			if rest, ok := strings.CutPrefix(line, prefix+`state{name="a",state="`); ok && strings.HasSuffix(rest, "} 1") {
				is = append(is, strings.TrimSuffix(rest, `"} 1`))
			}
		}
		if !slices.Equal(is, []string{state.String()}) {
			t.Errorf("%v is said to be %q", state, is)
		}
	}
}

// The library's own parser, and in OpenMetrics that of Prometheus, read the same from it.
func TestOthersReadAllOfIt(t *testing.T) {
	s := server(everything("a"), process.Sample{Name: "b", State: process.Running}, everything("c"))
	text := scrape(t, s, "")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := range families {
		f := &families[i]
		mf := found[prefix+f.name]
		if mf == nil {
			t.Errorf("%s is not there", f.name)
			continue
		}
		kind := "GAUGE"
		if f.isCounter() {
			kind = "COUNTER"
		}
		if mf.GetType().String() != kind || mf.GetHelp() != f.help || len(mf.Metric) < 2*max(len(f.series), 1) {
			t.Errorf("%s is read as %v", f.name, mf)
		}
		delete(found, prefix+f.name)
	}
	for name := range found {
		if strings.HasPrefix(name, prefix) {
			t.Errorf("%s is in no table", name)
		}
	}
	for _, own := range []string{"processmanager_build_info", "processmanager_uptime_seconds", "processmanager_requests_total", "processmanager_events_total",
		"processmanager_store_bytes", "processmanager_store_writable", "processmanager_processes", "go_goroutines", "process_cpu_seconds_total"} {
		if found[own] == nil {
			t.Errorf("%s is not there", own)
		}
	}
	tool(t, "go", "golang")
	reader := exec.Command("go", "-C", "../../integration/openmetrics", "build", "-o", t.TempDir()+"/openmetrics", ".")
	if out, err := reader.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	count := func(contentType, scrape string) int {
		t.Helper()
		read := exec.Command(reader.Args[len(reader.Args)-2], contentType)
		read.Stdin = strings.NewReader(scrape)
		var said bytes.Buffer
		read.Stderr = &said
		out, err := read.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", contentType, err, said.String())
		}
		return bytes.Count(out, []byte("__name__=\""+prefix))
	}
	want := len(of(text))
	for contentType, scrape := range map[string]string{"text/plain": text, theOpenMetrics: scrape(t, s, theOpenMetrics)} {
		if n := count(contentType, scrape); n != want {
			t.Errorf("%s: %d series of %d are read", contentType, n, want)
		}
	}
}

// The parser is lenient: this holds what the text of OpenMetrics demands besides.
func TestOpenMetricsIsStrict(t *testing.T) {
	text := scrape(t, server(everything("a"), everything("b")), theOpenMetrics)
	body, ended := strings.CutSuffix(text, "# EOF\n")
	if !ended || strings.Contains(body, "# EOF") {
		t.Error("it does not end with # EOF, once")
	}
	family, kind, seen, series := "", "", map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			family, _, _ = strings.Cut(rest, " ")
			if kind = ""; seen[family] {
				t.Errorf("%s comes twice", family)
			}
			seen[family] = true
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			if name, of, _ := strings.Cut(rest, " "); name != family || strings.HasSuffix(name, "_total") {
				t.Errorf("%q behind the help of %s", line, family)
			} else {
				kind = of
			}
			continue
		}
		name, _, _ := strings.Cut(line, " ")
		key := name
		name, _, _ = strings.Cut(name, "{")
		suffix, ok := strings.CutPrefix(name, family)
		switch {
		case !ok || kind == "":
			t.Errorf("%q is not of %s", line, family)
		case kind == "counter" && suffix != "_total", kind == "gauge" && suffix != "":
			t.Errorf("%q is of a %s", line, kind)
		case series[key]:
			t.Errorf("%q comes twice", key)
		}
		series[key] = true
	}
}

// What promtool finds wrong with names, units and help is wrong.
func TestPromtoolHasNothingToSay(t *testing.T) {
	check := exec.Command(tool(t, "promtool", "prometheus"), "check", "metrics")
	check.Stdin = strings.NewReader(scrape(t, server(everything("a"), everything("b")), ""))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestMillionthsAreWrittenExactly(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1: "0.000001", 20: "0.00002", 999_999: "0.999999", 1_000_000: "1", 1_500_000: "1.5", -250_000: "-0.25", 1<<62 + 1: "4611686018427.387905"} {
		if got := string(appendMicro(nil, n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
