package client_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"path/filepath"
	"slices"
	"testing"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// breaking is a daemon that gives one answer after another, each over a connection
// that it then closes, and keeps what it was asked.
func breaking(t *testing.T, answers ...string) (socket string, asked func() []process.LogQuery) {
	socket = filepath.Join(t.TempDir(), "pm.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var queries []process.LogQuery
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewScanner(conn)
			io.WriteString(conn, " ** Welcome: you are not authenticated, provide secret.\n")
			in.Scan()
			io.WriteString(conn, " ** Welcome: you are authenticated.\n")
			if in.Scan() && len(answers) > 0 { // not who only dials
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
			conn.Close()
		}
	}()
	return socket, func() []process.LogQuery { l.Close(); <-done; return queries }
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
		pm, err := client.Dial(inTime(t), client.Config{Socket: socket, Secret: []byte(secret)})
		if err != nil {
			t.Fatal(err)
		}
		pm.Close()
		var got offsets
		if _, err := pm.Log(inTime(t), "a", process.LogQuery{Follow: true, Lines: 2}, &got); err != nil {
			t.Errorf("%q: %v", c.answers, err)
		}
		if q := asked(); got.String() != c.want || !slices.Equal(q, c.asked) || !slices.Equal(got.told, c.told) {
			t.Errorf("%q: %q, asked %+v, told %v", c.answers, got.String(), q, got.told)
		}
	}
}
