package client_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// breaking is a daemon that gives one answer after another, each over a connection
// that it then closes, and keeps what it was asked until nobody is connected.
func breaking(t *testing.T, answers ...string) (socket string, asked func() []process.LogQuery) {
	socket = filepath.Join(t.TempDir(), "pm.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards queries and answers
	var queries []process.LogQuery
	serve := func(conn net.Conn) {
		defer conn.Close()
		in := bufio.NewScanner(conn)
		io.WriteString(conn, " ** Welcome: you are not authenticated, provide secret.\n")
		in.Scan()
		io.WriteString(conn, " ** Welcome: you are authenticated.\n")
		if !in.Scan() { // who only dials
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if len(answers) == 0 {
			return
		}
		var q process.LogQuery
		script, err := heroscript.Parse(in.Text())
		if err == nil {
			q, _, err = verbs.LogQuery(script[0])
		}
		if err != nil {
			t.Error(err)
		}
		queries = append(queries, q)
		io.WriteString(conn, "**RESULT** \n"+answers[0])
		answers = answers[1:]
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(conn) })
		}
	})
	return socket, func() []process.LogQuery { l.Close(); all.Wait(); return queries }
}

// offsets keeps what is written to it, and where it could go on.
type offsets struct {
	bytes.Buffer
	told []int64
}

func (o *offsets) Offset(next int64) { o.told = append(o.told, next) }

// The last lines are counted once. When the connection is lost, reading goes on
// where they ended, also where nothing was written yet.
func TestFollowingGoesOnWhereItEnded(t *testing.T) {
	for _, c := range []struct {
		answers []string
		want    string
		asked   []process.LogQuery
		told    []int64
	}{
		{
			[]string{`{"name":"a","data":"6\n7\n","next":14}` + "\n", `{"name":"a","data":"8\n","next":16}` + "\n**ENDRESULT**\n"},
			"6\n7\n8\n", []process.LogQuery{{Follow: true, Lines: 2}, {Follow: true, From: 14}}, []int64{14, 16},
		},
		{
			[]string{`{"name":"a","data":"","next":14}` + "\n", `{"name":"a","data":"8\n9\n10\n","next":21}` + "\n**ENDRESULT**\n"},
			"8\n9\n10\n", []process.LogQuery{{Follow: true, Lines: 2}, {Follow: true, From: 14}}, []int64{14, 21},
		},
		{
			[]string{`{"name":"a","data":""}` + "\n", `{"name":"a","data":"0\n1\n2\n","next":6}` + "\n**ENDRESULT**\n"},
			"0\n1\n2\n", []process.LogQuery{{Follow: true, Lines: 2}, {Follow: true}}, []int64{0, 6},
		},
		{ // lost before the first piece
			[]string{"", `{"name":"a","data":"0\n1\n","next":4}` + "\n**ENDRESULT**\n"},
			"0\n1\n", []process.LogQuery{{Follow: true, Lines: 2}, {Follow: true, Lines: 2}}, []int64{4},
		},
	} {
		socket, asked := breaking(t, c.answers...)
		pm := dial(t, socket)
		var got offsets
		if _, err := pm.Log(inTime(t), "a", process.LogQuery{Follow: true, Lines: 2}, &got); err != nil {
			t.Errorf("%q: %v", c.answers, err)
		}
		pm.Close()
		if q := asked(); got.String() != c.want || !slices.Equal(q, c.asked) || !slices.Equal(got.told, c.told) {
			t.Errorf("%q: %q, asked %+v, told %v", c.answers, got.String(), q, got.told)
		}
	}
}

// writerFunc is what happens to what is read.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// following is a client of a daemon that has a line of output of a, and no more.
func following(t *testing.T) *client.Client {
	m := newMemory()
	m.all["a"] = process.NewStatus(process.Spec{Name: "a", Logging: process.Logging{Log: true}}, process.Running)
	m.output = []byte("1\n")
	return dial(t, daemon(t, m))
}

func TestFollowingEndsWithItsWriter(t *testing.T) {
	c := following(t)
	ctx := inTime(t)
	full := writerFunc(func([]byte) (int, error) { return 0, syscall.ENOSPC })
	if _, err := c.Log(ctx, "a", process.LogQuery{Follow: true}, full); err != syscall.ENOSPC || ctx.Err() != nil {
		t.Errorf("got %v, and the time: %v", err, ctx.Err())
	}
}

func TestFollowingEndsWithClose(t *testing.T) {
	c := following(t)
	closing := writerFunc(func(p []byte) (int, error) { return len(p), c.Close() })
	for _, when := range []string{"under way", "after Close"} {
		if _, err := c.Log(inTime(t), "a", process.LogQuery{Follow: true}, closing); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: got %v", when, err)
		}
	}
}

func TestFollowingEndsWithItsContext(t *testing.T) {
	c := following(t)
	ctx, cancel := context.WithCancel(inTime(t))
	ending := writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	if next, err := c.Log(ctx, "a", process.LogQuery{Follow: true}, ending); !errors.Is(err, context.Canceled) || next != 2 {
		t.Errorf("got %d, %v", next, err)
	}
}
