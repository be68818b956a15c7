package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The daemon's own metrics. Those that begin with go_ and process_ are of the worker.
var (
	buildInfo     = describe("build_info", "The release of the daemon.", "version")
	uptime        = describe("uptime_seconds", "How long the daemon has run, over upgrades and deaths of its worker.")
	requests      = describe("requests_total", "Requests of clients that the worker has answered, since it began.")
	events        = describe("events_total", "Events that there were, as their numbers count.")
	storeBytes    = describe("store_bytes", "Size of the file that holds definitions, history and events.")
	storeWritable = describe("store_writable", "Whether the last write to that file could be done.")
	processes     = describe("processes", "Processes that are defined, by their state.", "state")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("processmanager_"+name, help, labels, nil)
}

// daemon collects them, for one scrape.
type daemon struct {
	version  string
	requests uint64
	process.DaemonSample
	samples []process.Sample
}

func (d *daemon) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{buildInfo, uptime, requests, events, storeBytes, storeWritable, processes} {
		to <- desc
	}
}

func (d *daemon) Collect(to chan<- prometheus.Metric) {
	tell := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	tell(buildInfo, prometheus.GaugeValue, 1, d.version)
	tell(uptime, prometheus.GaugeValue, d.Uptime.Seconds())
	tell(requests, prometheus.CounterValue, float64(d.requests))
	tell(events, prometheus.CounterValue, float64(d.Events))
	tell(storeBytes, prometheus.GaugeValue, float64(d.StoreBytes))
	writable := 0.0
	if d.StoreWritable {
		writable = 1
	}
	tell(storeWritable, prometheus.GaugeValue, writable)
	count := make([]int, process.Failed+1)
	for i := range d.samples {
		if state := d.samples[i].State; int(state) < len(count) {
			count[state]++
		}
	}
	for state := process.Scheduled; state <= process.Failed; state++ {
		tell(processes, prometheus.GaugeValue, float64(count[state]), state.String())
	}
}

// worker collects what the Go runtime and the kernel say of this process. Without go_memstats:
// two of them have the same name in OpenMetrics, go_memstats_alloc_bytes and its _total.
func worker() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled()), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
