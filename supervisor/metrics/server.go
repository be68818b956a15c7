package metrics

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Source is who knows what is to be told.
type Source interface {
	Samples() []process.Sample // by name
	DaemonSample() process.DaemonSample
	Health(ctx context.Context) error // nil: the daemon is well
}

// Bounds of what others can make this server do.
const (
	maxConns    = 64
	maxHeader   = 16 << 10
	maxScrapes  = 2                // at a time
	scrapeWait  = 5 * time.Second  // for others to end
	requestTime = 5 * time.Second  // for a request to come
	answerTime  = 15 * time.Second // for an answer to be taken
	idleTime    = 2 * time.Minute  // more than between two scrapes
	healthAge   = time.Second      // for which an answer to /healthz holds: it writes to a disk
	bufferSize  = 64 << 10
)

// formats are those that can be asked for. Who does not care, or asks for another one, gets the
// first.
var formats = []expfmt.Format{expfmt.NewFormat(expfmt.TypeTextPlain), openMetrics(expfmt.OpenMetricsVersion_0_0_1), openMetrics(expfmt.OpenMetricsVersion_1_0_0)}

func openMetrics(version string) expfmt.Format {
	f, _ := expfmt.NewOpenMetricsFormat(version) // it knows both
	return f
}

// Server answers scrapes.
type Server struct {
	source   Source
	version  string
	requests func() uint64 // that the daemon has answered
	log      *log.Logger
	worker   prometheus.Gatherer
	scrapes  chan struct{} // holds one for each that is answered

	health chan struct{} // holds one while it is found out
	asked  time.Time
	ill    error
}

// New makes a server. version is that of the daemon, requests counts what it has answered; log
// is told what is wrong.
func New(source Source, version string, requests func() uint64, log *log.Logger) *Server {
	return &Server{source: source, version: version, requests: requests, log: log, worker: worker(), scrapes: make(chan struct{}, maxScrapes), health: make(chan struct{}, 1)}
}

// Serve answers those who connect until ctx ends, and closes l. It may be called for several.
//
// Errors: net.ErrClosed where l was closed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := http.Server{
		Handler: s, ErrorLog: s.log, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: requestTime, ReadTimeout: requestTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		limit, cancel := context.WithTimeout(context.Background(), answerTime)
		defer cancel()
		if h.Shutdown(limit) != nil {
			h.Close()
		}
	})
	err := h.Serve(limit(l, maxConns))
	if stop() { // l was closed: what was asked for over it is answered
		h.Shutdown(ctx)
		return err
	}
	<-ended
	return nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "GET is expected", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch r.URL.Path {
	case "/metrics":
		s.metrics(w, r)
	case "/healthz":
		s.healthz(w, r)
	case "/":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "processmanager\n/metrics  for Prometheus\n/healthz  200 while the daemon is well, 503 and why otherwise\n")
	default:
		http.Error(w, "there is /metrics and /healthz", http.StatusNotFound)
	}
}

// metrics answers a scrape.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	wait := time.NewTimer(scrapeWait)
	defer wait.Stop()
	select {
	case s.scrapes <- struct{}{}:
		defer func() { <-s.scrapes }()
	case <-wait.C:
		w.Header().Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("%d scrapes go on already", maxScrapes), http.StatusServiceUnavailable)
		return
	case <-r.Context().Done():
		return
	}
	format := expfmt.NegotiateAccept(r.Header, formats...)
	w.Header().Set("Content-Type", string(format))
	out := bufio.NewWriterSize(w, bufferSize)
	if s.write(out, format) != nil {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
}

// write writes all metrics.
func (s *Server) write(w *bufio.Writer, format expfmt.Format) error {
	samples := s.source.Samples()
	own := prometheus.NewRegistry()
	own.MustRegister(&daemon{s.version, s.requests(), s.source.DaemonSample(), samples})
	all, err := prometheus.Gatherers{own, s.worker}.Gather()
	if err != nil {
		s.log.Printf("some of the daemon's own metrics cannot be told: %v", err)
	}
	encoder := expfmt.NewEncoder(w, format)
	for _, mf := range all {
		if err := encoder.Encode(mf); err != nil {
			return err
		}
	}
	for i := range families {
		if err := families[i].write(w, samples, format.FormatType() == expfmt.TypeOpenMetrics); err != nil {
			return err
		}
	}
	if c, ok := encoder.(expfmt.Closer); ok { // OpenMetrics says where it ends
		if err := c.Close(); err != nil {
			return err
		}
	}
	return w.Flush()
}

// healthz says whether the daemon is well.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := s.isIll(r.Context()); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, "ok")
}

// isIll is why the daemon is not well. Those who ask at the same time share an answer.
func (s *Server) isIll(ctx context.Context) error {
	select {
	case s.health <- struct{}{}:
		defer func() { <-s.health }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if time.Since(s.asked) > healthAge {
		s.ill = s.source.Health(context.WithoutCancel(ctx))
		s.asked = time.Now()
	}
	return s.ill
}
