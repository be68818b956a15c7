package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const execVerb = "process.exec"

func execForm(time.Time) *form {
	var e process.Exec
	f := &form{params: []Param{
		{Name: "name", Value: "NAME", Most: ownBound, Help: "name of the process (default: one is made up)", set: func(v string) error {
			e.Spec.Name = v
			return process.ValidateName(v)
		}},
		toggle("rm", "delete the process when it has ended, with its history and log; also when nobody waits for it any more", &e.Remove),
		{Name: "run", Value: "NUMBER", Help: "begin none, but go on with this run, whose connection was lost", set: func(v string) (err error) {
			if e.Run, err = strconv.ParseUint(v, 10, 64); err != nil || e.Run == 0 {
				return fmt.Errorf("%s is not the number of a run: 1 or more", process.Printable(v))
			}
			return nil
		}},
		{Name: "from", Value: "OFFSET", Help: "with run: go on at this offset, as the answer in JSON gave it", set: func(v string) (err error) {
			if e.From, err = strconv.ParseInt(v, 10, 64); err != nil || e.From < 0 {
				return fmt.Errorf("%s is not an offset: 0 or more", process.Printable(v))
			}
			return nil
		}},
	}}
	f.fields = &fields{once: true, set: func(field *process.Field, v string) error { return setField(&e.Spec, field, v) }}
	f.check = func() error {
		e.Spec.JobID = f.jobID
		switch {
		case e.Run > 0 && (e.Spec.Command != "" || e.Spec.Name == ""):
			return errors.New("process.exec goes on with a run of a process that is there: give name and run, and no command")
		case e.Run > 0:
			return nil
		case e.Spec.Command == "":
			return errors.New("process.exec needs the parameter command:COMMAND")
		case e.Spec.Name == "":
			e.Spec.Name = process.ExecName()
		}
		_, err := e.Once()
		return err
	}
	f.do = func(ctx context.Context, m Manager) (result, error) {
		return &executing{ctx: ctx, m: m, e: e}, nil
	}
	return f
}

// ExecAction is the action that asks for e.
func ExecAction(e process.Exec) heroscript.Action {
	if e.Run > 0 {
		return NewAction(execVerb, "name", e.Spec.Name, "run", strconv.FormatUint(e.Run, 10), "from", strconv.FormatInt(e.From, 10))
	}
	a := DefineAction(e.Spec)
	a.Name = "exec"
	if e.Remove {
		a.Params = append(a.Params, heroscript.Param{Key: "rm", Value: "true"})
	}
	return a
}

// maxText is how many bytes of output at once are text in JSON. Much output is quick in base64.
const maxText = 4 << 10

// executing is the result of exec. The command runs while it is written: who hangs up ends it.
type executing struct {
	ctx   context.Context
	m     Manager
	e     process.Exec
	open  bool             // its output ends within a line
	ended []process.Waited // how it ended
}

// Patient reports whether who reads the result may take as long as it likes.
func (a Answer) Patient() bool {
	_, ok := a.body.(*executing)
	return ok
}

func (x *executing) follows() bool { return false }

// write gives the output and, as text, a line that says how the run ended. In JSON it is one
// object a line: the run, pieces of its output as of a log, and the result as of wait.
func (x *executing) write(w io.Writer, s style) error {
	err := x.send(w, s)
	if err == nil && !s.json {
		if x.open {
			io.WriteString(w, "\n")
		}
		_, err = io.WriteString(w, came(x.ended[0], process.UntilEnd)+"\n")
	}
	return streamed(x.ctx, w, s, err)
}

// send gives the output alone, or, in JSON, all of it.
func (x *executing) send(w io.Writer, s style) error {
	to := &watcher{x: x, w: w, json: s.json, pieces: pieceWriter{name: x.e.Spec.Name, w: w, most: maxHeld, text: maxText}}
	err := x.m.Execute(x.ctx, x.e, to)
	if err == nil && len(x.ended) == 0 {
		err = process.Errorf(process.CodeInternal, "the end of '%s' was not told", x.e.Spec.Name)
	}
	return err
}

// watcher writes what comes of a command.
type watcher struct {
	x      *executing
	w      io.Writer
	json   bool
	pieces pieceWriter
	failed error // of w, where no error can be given
}

// begun is the first line in JSON.
type begun struct {
	Name string `json:"name"`
	Run  uint64 `json:"run"`
}

func (t *watcher) Begun(run uint64) error {
	if !t.json {
		return nil
	}
	return writeJSON(t.w, begun{t.x.e.Spec.Name, run})
}

func (t *watcher) Write(p []byte) (int, error) {
	if t.failed != nil {
		return 0, t.failed
	}
	if t.json {
		return t.pieces.Write(p)
	}
	if len(p) > 0 {
		t.x.open = p[len(p)-1] != '\n'
	}
	return t.w.Write(p)
}

func (t *watcher) Offset(next int64) {
	if !t.json {
		return
	}
	if t.pieces.next = next; t.pieces.data.Len() > 0 {
		t.failed = t.pieces.flush()
	}
}

func (t *watcher) Ended(w process.Waited) error {
	t.x.ended = []process.Waited{w}
	t.Offset(t.pieces.next) // what was written since then
	switch {
	case t.failed != nil:
		return t.failed
	case t.json:
		return writeJSON(t.w, w)
	}
	return nil
}
