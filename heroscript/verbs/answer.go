package verbs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// Answer is what carrying out one action gave.
type Answer struct {
	JobID string
	JSON  bool  // the format that was asked for
	Width int   // columns of the window that text is for; 0 is any number
	Err   error // the action failed
	body  result
}

// result is what a verb gives when it succeeds.
type result interface {
	write(w io.Writer, s style) error
}

// partial is a result of which a part may have failed.
type partial interface {
	result
	split() (rest result, failed []error)
}

// style is how a result is to be written.
type style struct {
	json  bool
	width int // columns of the window that text is for; 0 is any number
}

// stream is a result that comes while it is written.
type stream interface {
	result
	send(w io.Writer, s style) error // as write, for somebody who is told of failures apart
	follows() bool                   // it ends with its context
}

// Outcomes are what was done about each process, of a verb that acts on or shows some.
func (a Answer) Outcomes() []process.Outcome {
	if o, ok := a.body.(outcomes); ok {
		return o.list
	}
	return nil
}

// Follows reports whether the result goes on until the context of its action ends.
func (a Answer) Follows() bool {
	s, ok := a.body.(stream)
	return ok && s.follows()
}

// Tell writes the result to w for somebody who is told apart what failed: the action, or
// what it was to do about some of several processes. In JSON these stand in the result too.
func (a Answer) Tell(w io.Writer) (failed, err error) {
	switch body := a.body.(type) {
	case stream:
		if a.Err == nil {
			return body.send(w, style{a.JSON, screen.Columns(a.Width)}), nil
		}
	case partial:
		rest, list := body.split()
		if failed = errors.Join(list...); !a.JSON {
			a.body = rest
		}
	}
	if a.Err != nil {
		return a.Err, nil
	}
	return failed, a.Write(w)
}

// RunText carries out the one action that stands in script.
func RunText(ctx context.Context, m Manager, script string) Answer {
	if verb, ok := helpWanted(script); ok {
		return help(verb)
	}
	actions, err := heroscript.Parse(script)
	if err != nil {
		return Refuse(script, string(process.CodeSyntax), err.Error())
	}
	if len(actions) != 1 {
		return Refuse(script, string(process.CodeSyntax), fmt.Sprintf("%d actions where one is expected", len(actions)))
	}
	return Run(ctx, m, actions[0])
}

// Check reports what is wrong with an action outside of a session, without carrying it
// out.
func Check(a heroscript.Action) error {
	verb, err := find(a, "'pmclient help'")
	if err != nil {
		return err
	}
	_, err = verb.read(a)
	return err
}

// Run carries out one action.
func Run(ctx context.Context, m Manager, a heroscript.Action) Answer {
	verb, err := find(a, "!!help")
	if err != nil {
		return Answer{Err: err, JSON: wantsJSON(a)}
	}
	f, err := verb.read(a)
	if err != nil {
		return Answer{Err: err, JSON: wantsJSON(a), JobID: jobID(a)}
	}
	body, err := f.do(ctx, m)
	return Answer{JobID: f.jobID, JSON: f.json, Err: err, body: body}
}

// Refuse is the answer to a script that was not carried out, in the format and
// under the id that it asks for, if that can be told.
func Refuse(script, code, message string) Answer {
	answer := Answer{Err: &process.Error{Code: process.Code(code), Message: message}}
	if actions := readable(script); len(actions) == 1 {
		answer.JSON, answer.JobID = wantsJSON(actions[0]), jobID(actions[0])
	}
	return answer
}

// readable is the part of a script that stands before its first fault. A program
// that gives the format first has its errors in it, whatever follows.
func readable(script string) heroscript.Script {
	actions, err := heroscript.Parse(script)
	// The fault may stand in a quote, which then is a fault itself.
	for range 2 {
		if fault := new(heroscript.SyntaxError); errors.As(err, &fault) {
			script = before(script, fault.Pos)
			actions, err = heroscript.Parse(script)
		}
	}
	return actions
}

// before is the text in front of a position.
func before(text string, pos heroscript.Pos) string {
	start := 0
	for range pos.Line - 1 {
		start += strings.IndexByte(text[start:], '\n') + 1
	}
	if strings.HasPrefix(text[start:], heroscript.ByteOrderMark) {
		start += len(heroscript.ByteOrderMark) // it has no column
	}
	column := 0
	for i := start; i < len(text); i++ {
		if utf8.RuneStart(text[i]) {
			column++
		}
		if column == pos.Column {
			return text[:i]
		}
	}
	return text
}

// viewWord opens a view that fills the screen, where there is one. It is no verb.
const viewWord = "top"

// find is the verb of an action. lister is what lists them all where it is read.
func find(a heroscript.Action, lister string) (*Verb, error) {
	name := a.Verb()
	if name == "process.logs" { // of the earlier implementation
		name = "process.log"
	}
	if verb, ok := Lookup(name); ok && verb.Name == name {
		return verb, nil
	}
	if name == viewWord {
		return nil, at(a.Pos, "%s is for a person at a terminal, as pmclient %[1]s or in a telnet session: process.list and process.figures are for scripts", viewWord)
	}
	return nil, at(a.Pos, "no verb %s%s; %s lists them", process.Printable(a.Verb()), didYouMeanVerb(a.Verb()), lister)
}

// wantsJSON and jobID look into an action that could not be read as a whole,
// so that its error goes out in the format asked for and under its id.
func wantsJSON(a heroscript.Action) bool {
	p, _ := a.Get("format")
	return p.Value == "json"
}

func jobID(a heroscript.Action) string {
	p, given := a.Get("jobid")
	if !given {
		p, _ = a.Get("job_id")
	}
	if process.ValidateJobID(p.Value) != nil {
		return ""
	}
	return p.Value
}

// Write writes the result, or the error, in the answer's format. Whatever others have
// given in a text, nothing goes out that a terminal would act on, but for a log: its
// bytes are what was asked for.
func (a Answer) Write(w io.Writer) error {
	s := style{a.JSON, screen.Columns(a.Width)}
	_, streams := a.body.(stream)
	switch {
	case a.Err != nil && a.JSON:
		return writeJSON(w, failure(a.Err))
	case a.Err != nil:
		return writeError(w, a.Err)
	case a.JSON || streams:
		return a.body.write(w, s)
	}
	shown := screen.NewWriter(w)
	return errors.Join(a.body.write(shown, s), shown.Flush())
}

func writeError(w io.Writer, err error) error {
	_, err = io.WriteString(w, "Error: "+screen.Line(errorText(err))+"\n")
	return err
}

func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escapeJSON(b.Bytes()))
	return err
}

// escapeJSON escapes what the encoder leaves as it is and a terminal would act on: DEL,
// the control characters behind it, what turns the direction of text. It stands in
// strings only.
func escapeJSON(text []byte) []byte {
	if !slices.ContainsFunc(text, func(b byte) bool { return b >= 0x7f }) { // soon said of what is long
		return text
	}
	plain := func(r rune) bool { return r < 0x7f || unicode.IsGraphic(r) }
	if bytes.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for _, r := range string(text) {
		switch high, low := utf16.EncodeRune(r); {
		case plain(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// marshal is v as writeJSON writes it, without the line end.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	err := writeJSON(&b, v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// maxError is how many bytes of an error are told. It may hold what was given.
const maxError = 2 << 10

func errorText(err error) string { return cut(err.Error(), maxError) }

// failure is the JSON form of a failed action.
func failure(err error) process.Failure {
	f := process.NewFailure(err)
	f.Error = errorText(err)
	return f
}

// writeArray writes an array one element at a time: the commands of many processes
// together may be much.
func writeArray[T any](w io.Writer, all []T) error { return writeSequence(w, slices.Values(all)) }

// writeSequence is writeArray of what comes one by one.
func writeSequence[T any](w io.Writer, all iter.Seq[T]) error {
	between := "["
	var one T
	// Of very many, an encoder would make copies, and look through each once more.
	own, appends := any(&one).(interface {
		AppendJSON(b []byte) ([]byte, error)
	})
	var text []byte
	for one = range all {
		var err error
		if appends {
			text, err = own.AppendJSON(text[:0])
		} else {
			text, err = marshal(one)
		}
		if err != nil {
			return err
		}
		io.WriteString(w, between)
		if _, err := w.Write(escapeJSON(text)); err != nil {
			return err
		}
		between = ","
	}
	if between == "[" {
		between = "[]"
	} else {
		between = "]"
	}
	_, err := io.WriteString(w, between+"\n")
	return err
}
