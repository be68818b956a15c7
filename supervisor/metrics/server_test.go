package metrics

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyThreePathsAreThere(t *testing.T) {
	s := server()
	for path, want := range map[string]int{"/": 200, "/metrics": 200, "/healthz": 200, "/metrics/": 404, "/debug/pprof/": 404, "/x": 404} {
		if r := get(s, path, ""); r.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, r.Status, want)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(method, "/metrics", strings.NewReader("x")))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

// Who asks for a format that is not written here gets text.
func TestTheFormatIsWhatWasAskedFor(t *testing.T) {
	s := server()
	for accept, want := range map[string]string{
		"": "text/plain; version=0.0.4", "*/*": "text/plain; version=0.0.4", theOpenMetrics: theOpenMetrics, "application/openmetrics-text": "application/openmetrics-text; version=0.0.1",
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2": theOpenMetrics, // Prometheus
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited":                     "text/plain; version=0.0.4",
	} {
		if got := get(s, "/metrics", accept).Header.Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s", accept, got, want)
		}
	}
}

// Health is found out once for all who ask within a second: it writes to the disk.
func TestHealthIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, ill := 0, error(nil)
		s := server()
		s.source.(*fake).health = func() error {
			asked++
			time.Sleep(100 * time.Millisecond)
			return ill
		}
		body := func() (int, string) {
			r := get(s, "/healthz", "")
			text, _ := io.ReadAll(r.Body)
			return r.StatusCode, string(text)
		}
		for range 10 {
			go body()
		}
		synctest.Wait()
		if code, text := body(); code != 200 || text != "ok\n" || asked != 1 {
			t.Errorf("%d %q, asked %d times", code, text, asked)
		}
		ill = errors.New("the store does not answer")
		time.Sleep(2 * time.Second)
		if code, text := body(); code != 503 || text != "the store does not answer\n" || asked != 2 {
			t.Errorf("%d %q, asked %d times", code, text, asked)
		}
	})
}

// A scrape waits for others, and not for ever.
func TestScrapesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server()
		for range maxScrapes {
			s.scrapes <- struct{}{}
		}
		began := time.Now()
		if r := get(s, "/metrics", ""); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || time.Since(began) != scrapeWait {
			t.Errorf("%s after %v", r.Status, time.Since(began))
		}
		go func() {
			time.Sleep(time.Second)
			<-s.scrapes
		}()
		if r := get(s, "/metrics", ""); r.StatusCode != 200 {
			t.Error(r.Status)
		}
	})
}

// listening is a server on a socket, and ends with the test.
func listening(t *testing.T, s *Server) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return path
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// answers reports whether a connection is answered, and not closed.
func answers(c net.Conn) bool {
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	return err == nil && r.StatusCode == 200
}

// One connection too many is closed, and there is room again when another goes.
func TestConnectionsAreBounded(t *testing.T) {
	path := listening(t, server())
	var conns []net.Conn
	for range maxConns {
		c := dial(t, path)
		if !answers(c) {
			t.Fatalf("%d connections are not answered", len(conns)+1)
		}
		conns = append(conns, c)
	}
	if answers(dial(t, path)) {
		t.Errorf("%d connections are answered", maxConns+1)
	}
	for _, c := range conns {
		c.Close()
	}
	for limit := time.Now().Add(10 * time.Second); !answers(dial(t, path)); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("there is no room again")
		}
	}
}

// A request that does not come, or that is too large, holds a connection for a bounded time.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel() // it takes requestTime
	path := listening(t, server())
	slow := dial(t, path)
	began := time.Now()
	io.WriteString(slow, "GET / HTTP/1.1\r\nHost: ")
	large := dial(t, path)
	go io.WriteString(large, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	if r, err := http.ReadResponse(bufio.NewReader(large), nil); err == nil && r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Error(r.Status)
	}
	io.ReadAll(slow)
	if took := time.Since(began); took > requestTime+3*time.Second {
		t.Errorf("it was held for %v", took)
	}
}

// A server that is to end answers what was asked, and the next one has the socket.
func TestAServerThatEndsAnswersFirst(t *testing.T) {
	var asked atomic.Bool
	begun, end := make(chan struct{}), make(chan struct{})
	s := server()
	s.source.(*fake).health = func() error {
		asked.Store(true)
		close(begun)
		<-end
		return nil
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, l) }()
	c := dial(t, path)
	io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	cancel()
	close(end)
	if r, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || r.StatusCode != 200 {
		t.Errorf("%v, %v", r, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
