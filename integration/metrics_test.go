package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// scraper asks a daemon for its metrics, over the socket beside its own.
type scraper struct {
	*daemon
	path string
}

// scraped has a daemon answer scrapes from its next start on.
func scraped(d *daemon) scraper {
	path := d.dir + "/metrics.sock"
	d.setup.Args = append(d.setup.Args, "-metrics", "unix:"+path)
	return scraper{d, path}
}

// get is an answer. A worker that dies meanwhile gives none.
func (s scraper) get(path, accept string) (code int, body string, err error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.path)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: patience}
	r, err := http.NewRequest(http.MethodGet, "http://daemon"+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Accept", accept)
	answer, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(data), err
}

// scrape are the values of all series, by their names as they stand there.
func (s scraper) scrape() (series map[string]float64, err error) {
	code, body, err := s.get("/metrics", "")
	if err != nil {
		return nil, err
	}
	if code != http.StatusOK {
		return nil, fmt.Errorf("%d: %s", code, body)
	}
	series = map[string]float64{}
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		end := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		series[line[:end]] = value
	}
	return series, nil
}

func (s scraper) mustScrape() map[string]float64 {
	s.t.Helper()
	series, err := s.scrape()
	if err != nil {
		s.t.Fatal(err)
	}
	return series
}

// of is a series of a process: its metric without what all begin with, and further labels.
func of(name, metric string, labels ...string) string {
	return "processmanager_process_" + metric + "{" + strings.Join(append([]string{`name="` + name + `"`}, labels...), ",") + "}"
}

// watch scrapes until the test ends or stop is called, and fails where a counter falls. The
// worker's own begin anew with it.
func (s scraper) watch() (stop func() (scrapes int)) {
	quit, ended := make(chan struct{}), make(chan int)
	go func() {
		before, n := map[string]float64{}, 0
		defer func() { ended <- n }()
		for {
			now, err := s.scrape()
			if err == nil {
				n++
				for name, value := range before {
					if is, there := now[name]; is < value {
						s.t.Errorf("%s falls from %v to %v (there: %v)", name, value, is, there)
					}
				}
				before = map[string]float64{}
				for name, value := range now {
					if metric, _, _ := strings.Cut(name, "{"); strings.HasPrefix(metric, "processmanager_process_") && strings.HasSuffix(metric, "_total") {
						before[name] = value
					}
				}
			}
			select {
			case <-quit:
				return
			default:
			}
		}
	}()
	return sync.OnceValue(func() int { close(quit); return <-ended })
}

// sumOf is what the history of a process says that its counters are.
func (s scraper) sumOf(name string) (sum process.Totals) {
	s.t.Helper()
	runs, err := s.runsOf(process.RunQuery{Name: process.Selection{name}})
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range runs {
		sum.AddRun(&runs[i].Run)
	}
	return sum
}

// agree fails the test unless the counters of a process at rest are what its history says.
func (s scraper) agree(name, when string) {
	s.t.Helper()
	series, sum := s.mustScrape(), s.sumOf(name)
	want := map[string]float64{
		of(name, "cpu_seconds_total", `mode="user"`):   float64(sum.CPUUser) / 1e6,
		of(name, "cpu_seconds_total", `mode="system"`): float64(sum.CPUSystem) / 1e6,
		of(name, "restarts_total"):                     float64(sum.Restarts),
	}
	for _, cause := range process.Causes() {
		c, _ := process.ParseCause(cause)
		want[of(name, "runs_total", `cause="`+cause+`"`)] = float64(sum.Runs[c])
	}
	if sum.OOMKills != nil {
		want[of(name, "oom_kills_total")] = float64(*sum.OOMKills)
	}
	if sum.IOWrite != nil {
		want[of(name, "io_bytes_total", `direction="write"`)] = float64(*sum.IOWrite)
	}
	for name, want := range want {
		if got, there := series[name]; got != want || !there {
			s.t.Errorf("%s: %s is %v (there: %v), its history comes to %v", when, name, got, there, want)
		}
	}
}

// The worker dies at each point in the life of a run. No counter falls, and each run is
// counted once.
func TestCountersHoldWhereverTheWorkerDies(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	c := crashing{d, d.dir + "/crash"}
	d.setup.Env = []string{"PROCESSMANAGER_CRASH_FILE=" + c.file}
	s := scraped(d)
	d.launch()
	d.start(process.Spec{Name: "web", Retention: process.Retention{History: process.MaxHistory},
		Ending:  process.Ending{StopTimeout: new(100 * time.Millisecond)},
		Command: "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; [ -e stay ] && exec sleep 1000; exit 3"})
	d.rest("web")
	stop := s.watch()
	reached := 0
	for _, p := range supervisor.Points {
		for _, stays := range []bool{false, true} {
			if stays {
				if err := os.WriteFile(d.dir+"/stay", nil, 0o600); err != nil {
					t.Fatal(err)
				}
			} else {
				os.Remove(d.dir + "/stay")
			}
			c.arm(p)
			_, err := d.client().Start(d.context(), process.Spec{Name: "web"})
			c.lost(err)
			if stays {
				c.settled("web")
				_, err := d.client().Stop(d.context(), "web")
				c.lost(err)
			}
			d.await("web", "at rest", func(s process.Status) bool { return s.State.AtRest() })
			if c.disarm() {
				reached++
			}
			s.agree("web", string(p))
		}
	}
	if n := stop(); n < len(supervisor.Points) {
		t.Errorf("there were only %d scrapes", n)
	}
	if reached < len(supervisor.Points) {
		t.Errorf("the worker died only %d times", reached)
	}
}

// The worker is killed again and again while runs come and go by themselves.
func TestCountersHoldWhileWorkersDie(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	s := scraped(d)
	d.launch()
	for _, name := range []string{"a", "b"} {
		d.start(process.Spec{Name: name, Retention: process.Retention{History: process.MaxHistory},
			Restarting: process.Restarting{Restart: process.RestartAlways, RestartDelay: 20 * time.Millisecond, RestartMaxDelay: 20 * time.Millisecond},
			Command:    "i=0; while [ $i -lt 5000 ]; do i=$((i+1)); done; exit 1"})
	}
	stop := s.watch()
	runsOn := func() {
		t.Helper()
		before, a, b := s.sumOf("a").Restarts, of("a", "restarts_total"), of("b", "restarts_total")
		eventually(t, "runs come and go", func() bool {
			now, err := s.scrape()
			return err == nil && now[a] > float64(before) && now[b] > 0
		})
	}
	for range 8 {
		runsOn()
		d.killWorker()
	}
	runsOn()
	d.crash() // the keeper too
	d.launch()
	for range 3 {
		runsOn()
		d.killWorker()
	}
	runsOn()
	for _, name := range []string{"a", "b"} {
		d.stop(name)
	}
	if n := stop(); n < 20 {
		t.Errorf("there were only %d scrapes", n)
	}
	for _, name := range []string{"a", "b"} {
		s.agree(name, "in the end")
		if sum := s.sumOf(name); sum.Restarts == 0 || sum.CPUUser == 0 {
			t.Errorf("%s: %+v", name, sum)
		}
	}
	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	d.launch()
	s.agree("a", "after another start of the daemon")
}

// What a run uses is told while it goes on.
func TestMetricsTellOfWhatRuns(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	s := scraped(d)
	d.launch()
	d.start(process.Spec{Name: "web", Environment: process.Environment{Env: "TOKEN=hunter2"}, Logging: process.Logging{Log: true},
		Command: "echo whispered; sleep 1000 & while :; do :; done"})
	d.start(process.Spec{Name: "often", Command: "exec sleep 1000", Schedule: process.Schedule{Cron: "@every 1s"}})
	d.finished("job", "exit 7")
	eventually(t, "CPU time is used", func() bool { return s.mustScrape()[of("web", "cpu_seconds_total", `mode="user"`)] > 0.05 })
	eventually(t, "a time is skipped", func() bool { return s.mustScrape()[of("often", "schedule_skipped_total", `reason="overlap"`)] > 1 })
	series := s.mustScrape()
	now := float64(time.Now().Unix())
	for name, is := range map[string]func(v float64) bool{
		of("web", "pids"): func(v float64) bool { return v == 2 },
		of("web", "memory_bytes", `kind="current"`): func(v float64) bool { return v > 10<<10 },
		of("web", "state", `state="running"`):       func(v float64) bool { return v == 1 },
		of("web", "state", `state="failed"`):        func(v float64) bool { return v == 0 },
		of("web", "start_time_seconds"):             func(v float64) bool { return now-v < 300 && v <= now+1 },
		of("web", "runs_total", `cause="exit"`):     func(v float64) bool { return v == 0 },
		of("job", "last_exit_code"):                 func(v float64) bool { return v == 7 },
		of("job", "runs_total", `cause="exit"`):     func(v float64) bool { return v == 1 },
		of("job", "state", `state="failed"`):        func(v float64) bool { return v == 1 },
		of("often", "schedule_next_seconds"):        func(v float64) bool { return v > now-5 && v < now+60 },
		`processmanager_processes{state="running"}`: func(v float64) bool { return v == 2 },
		"processmanager_uptime_seconds":             func(v float64) bool { return v > 0 && v < 600 },
		"processmanager_requests_total":             func(v float64) bool { return v > 2 },
		"processmanager_events_total":               func(v float64) bool { return v > 6 },
		"processmanager_store_bytes":                func(v float64) bool { return v > 4096 },
		"processmanager_store_writable":             func(v float64) bool { return v == 1 },
		"process_start_time_seconds":                func(v float64) bool { return now-v < 600 },
	} {
		if v, there := series[name]; !there || !is(v) {
			t.Errorf("%s: %v (there: %v)", name, v, there)
		}
	}
	_, text, err := s.get("/metrics", "application/openmetrics-text")
	if err != nil || !strings.HasSuffix(text, "# EOF\n") {
		t.Errorf("OpenMetrics: %v, ends with %.20q", err, text[max(0, len(text)-20):])
	}
	for _, secret := range []string{"TOKEN", "hunter2", "whispered", "sleep 1000", theSecret} {
		if strings.Contains(text, secret) {
			t.Errorf("it holds %q", secret)
		}
	}
	d.mustClient("delete", "web")
	for name := range s.mustScrape() {
		if strings.Contains(name, `"web"`) {
			t.Errorf("it was deleted, and there is %s", name)
		}
	}
}

// Whoever comes while there is no worker waits for the next one: the keeper holds the port.
func TestThePortOfMetricsOutlivesTheWorker(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	d.setup.Args = []string{"-metrics", "127.0.0.1:0"}
	d.launch()
	if !d.log.await(0, "/metrics\n", d.ended) {
		t.Fatalf("it says %q", d.log.since(0))
	}
	_, rest, _ := strings.Cut(d.log.since(0), "metrics are at http://")
	address, _, _ := strings.Cut(rest, "/metrics")
	client := http.Client{Timeout: patience}
	var ended sync.WaitGroup
	quit := make(chan struct{})
	for range 4 {
		ended.Go(func() {
			for {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Errorf("nobody listens: %v", err)
					return
				}
				c.Close()
				select {
				case <-quit:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	for range 3 {
		d.killWorker()
		eventually(t, "it answers", func() bool {
			r, err := client.Get("http://" + address + "/healthz")
			if err != nil {
				return false // the connection was that of the dead one
			}
			defer r.Body.Close()
			return r.StatusCode == http.StatusOK
		})
	}
	close(quit)
	ended.Wait()
	d.end(syscall.SIGTERM)
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("somebody listens when the daemon has ended")
	}
}

// What cannot be listened on is said in a line that names the flag and what mends it.
func TestMetricsSayWhereTheyCannotBe(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for value, want := range map[string][]string{
		taken.Addr().String():               {"-metrics " + taken.Addr().String(), "another process listens there", "another port"},
		"0.0.0.0:0":                         {"-metrics 0.0.0.0:0 is not a loopback address", "there is no secret", "-allow-remote"},
		"localhost":                         {"-metrics localhost", "HOST:PORT is expected, such as 127.0.0.1:9555"},
		"unix:/" + strings.Repeat("x", 120): {"metrics: the path /xxx", "has 121 bytes, and the kernel takes 107"},
	} {
		d := newDaemon(t, setup{})
		said := d.refuse("-metrics", value)
		for _, part := range want {
			if !strings.Contains(said, part) {
				t.Errorf("-metrics %.30s: %s, not %q", value, said, part)
			}
		}
		if lines := strings.Count(said[strings.LastIndex(said, "processmanager: "):], "\n"); lines != 1 {
			t.Errorf("-metrics %.30s: %q", value, said)
		}
	}
	d := newDaemon(t, setup{})
	d.launch("-metrics", "0.0.0.0:0", "-allow-remote")
	if said := d.log.since(0); !strings.Contains(said, "there is no secret") {
		t.Errorf("it says %q", said)
	}
}

// The socket is for those who may connect to the daemon's own. It is made again when it is
// deleted, and goes with the daemon.
func TestTheSocketOfMetricsIsAsTheDaemons(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	s := scraped(d)
	d.launch()
	mode := func() os.FileMode {
		info, err := os.Lstat(s.path)
		if err != nil {
			return 0
		}
		return info.Mode()
	}
	if m := mode(); m != os.ModeSocket|0o600 {
		t.Errorf("its mode is %v", m)
	}
	for _, next := range []func(){func() {}, d.killWorker, func() { d.mustClient("upgrade") }} {
		next()
		s.mustScrape()
		if err := os.Remove(s.path); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is there again", func() bool { return mode() == os.ModeSocket|0o600 })
		s.mustScrape()
	}
	if code := d.end(syscall.SIGTERM); code != 0 || mode() != 0 {
		t.Errorf("exit code %d, its mode is %v", code, mode())
	}
	if err := os.Chmod(d.dir, 0o711); err != nil {
		t.Fatal(err)
	}
	d.launch("-socket-mode", "0666")
	if m := mode(); m != os.ModeSocket|0o666 {
		t.Errorf("its mode is %v", m)
	}
}

// A daemon that cannot store anything says so, and is well again when it can.
func TestHealthIsThatOfTheStore(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	s := scraped(d)
	d.launch()
	health := func(code int, text string) func() bool {
		return func() bool {
			is, body, err := s.get("/healthz", "")
			return err == nil && is == code && strings.Contains(body, text) && strings.Count(body, "\n") == 1
		}
	}
	eventually(t, "it is well", health(200, "ok\n"))
	path := d.state + "/processes.db"
	if err := errors.Join(os.Link(path, path+".away"), os.WriteFile(path+".other", nil, 0o600), os.Rename(path+".other", path)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is ill", health(503, "nothing can be stored in "+path))
	if v := s.mustScrape()["processmanager_store_writable"]; v != 0 {
		t.Errorf("store_writable is %v", v)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is well again", health(200, "ok\n"))
	if v := s.mustScrape()["processmanager_store_writable"]; v != 1 {
		t.Errorf("store_writable is %v", v)
	}
}

// A scrape of 1,000 processes: 30 ms and 5 MB. Each has come to rest since it started, as most
// have, and one in ten uses CPU time.
func BenchmarkScrape(b *testing.B) {
	d := newDaemon(b, setup{})
	s := scraped(d)
	d.launch()
	d.startMany(900, process.Spec{Command: "exec sleep 100000"})
	for i := range 100 {
		d.start(process.Spec{Name: fmt.Sprintf("busy-%03d", i), Command: "while :; do sleep 0.5; done"})
	}
	var times []float64
	size, ticks := 0, d.cpuTicks(b)
	for b.Loop() {
		began := time.Now()
		_, body, err := s.get("/metrics", "")
		if err != nil {
			b.Fatal(err)
		}
		times = append(times, float64(time.Since(began))/1e6)
		size = len(body)
	}
	ticks = d.cpuTicks(b) - ticks
	slices.Sort(times)
	median := times[len(times)/2]
	b.ReportMetric(median, "ms/scrape")
	b.ReportMetric(float64(size), "bytes/scrape")
	b.ReportMetric(float64(10*ticks)/float64(len(times)), "cpu-ms/scrape")
	if b.N > 1 {
		promised(b, "ms a scrape of 1,000 processes", median, 30)
		promised(b, "bytes of a scrape of 1,000 processes", float64(size), 5e6)
	}
}
