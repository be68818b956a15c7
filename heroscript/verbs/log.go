package verbs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// DefaultLogLines is how many lines process.log shows when it is not told which.
const DefaultLogLines = 100

func logForm(now time.Time) *form {
	var of process.Selection
	var q process.LogQuery
	f := &form{params: append([]Param{selected(&of)}, logParams(&q, now)...)}
	limited := false
	for i := range f.params {
		if set := f.params[i].set; f.params[i].Name == "from" {
			f.params[i].set = func(v string) error { limited = true; return set(v) }
		}
	}
	f.check = func() error {
		if !limited && q == (process.LogQuery{Times: q.Times, Follow: q.Follow}) {
			q.Lines = DefaultLogLines
		}
		return q.Validate()
	}
	f.log = &q
	f.do = func(ctx context.Context, m Manager) (result, error) {
		if name, plain := of.Name(); plain {
			return readLog(ctx, m, name, q)
		}
		return readLogs(ctx, m, of, q)
	}
	return f
}

// logParams are those of process.log behind the name.
func logParams(q *process.LogQuery, now time.Time) []Param {
	return []Param{
		{Name: "limit", Value: "LINES", old: "lines", Help: "this many of the last lines at most (default 100, or all where since, until, run, grep or from is given)", set: func(v string) (err error) {
			q.Lines, err = positive(v, "a number of lines")
			return err
		}},
		{Name: "since", Value: "TIME", Help: "from this time on: " + momentForms, set: func(v string) (err error) {
			q.Since, err = parseTime(v, now)
			return err
		}},
		{Name: "until", Value: "TIME", Help: "before this time", set: func(v string) (err error) {
			q.Until, err = parseTime(v, now)
			return err
		}},
		{Name: "run", Value: "NUMBER", Help: "of one run", set: func(v string) (err error) {
			if q.Run, err = strconv.ParseUint(v, 10, 64); err != nil || q.Run == 0 {
				return fmt.Errorf("%s is not the number of a run: 1 or more", process.Printable(v))
			}
			return nil
		}},
		{Name: "grep", Value: "REGEXP", Help: "only lines that match", Most: process.MaxGrep, set: func(v string) error {
			q.Grep = v
			_, err := process.CompileGrep(v)
			return err
		}},
		toggle("times", "the time before each line", &q.Times),
		toggle("follow", "go on with what is written from now on, until the session or the connection ends", &q.Follow),
		{Name: "from", Value: "OFFSET", Help: "go on at this offset, as an answer in JSON gave it", set: func(v string) (err error) {
			if q.From, err = strconv.ParseInt(v, 10, 64); err != nil || q.From < 0 {
				return fmt.Errorf("%s is not an offset: 0 or more", process.Printable(v))
			}
			return nil
		}},
	}
}

// LogAction is the action that asks for q.
func LogAction(name string, q process.LogQuery) heroscript.Action {
	a := NewAction("process.log", "name", name)
	add := func(key, value string) { a.Params = append(a.Params, heroscript.Param{Key: key, Value: value}) }
	if q.Lines > 0 {
		add("limit", strconv.Itoa(q.Lines))
	}
	for key, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !t.IsZero() {
			add(key, t.Format(time.RFC3339Nano))
		}
	}
	if q.Run > 0 {
		add("run", strconv.FormatUint(q.Run, 10))
	}
	if q.Grep != "" {
		add("grep", q.Grep)
	}
	if q.Times {
		add("times", "true")
	}
	if q.Follow {
		add("follow", "true")
	}
	if q.From > 0 || q.Lines == 0 { // otherwise the default would be fewer than all
		add("from", strconv.FormatInt(q.From, 10))
	}
	return a
}

// readLog is process.log. What cannot be is refused here; the log is read when the
// answer is written, as it comes.
func readLog(ctx context.Context, m Manager, name string, q process.LogQuery) (result, error) {
	list, err := m.Show(ctx, process.Selection{name}, process.Brief)
	if err != nil {
		return nil, err
	}
	err = list[0].Err
	if err == nil {
		err = mayRead(list[0].Status, q)
	}
	if err != nil {
		return nil, err
	}
	return logged{ctx, m, name, q}, nil
}

// mayRead is why what is asked of a log cannot be; nil: it can.
func mayRead(s process.Status, q process.LogQuery) error {
	switch {
	case !s.Log:
		return q.WithoutFile()
	case !q.Follow: // that waits for a run to come
		return hadRun(s, q.Run)
	}
	return nil
}

// hadRun is the error of a run that is not there yet; 0 is none in particular.
func hadRun(s process.Status, run uint64) error {
	last := s.Number
	if s.LastRun != nil {
		last = max(last, s.LastRun.Number)
	}
	switch {
	case run <= last:
		return nil
	case last == 0:
		return process.Errorf(process.CodeInvalid, "process '%s' has had no run yet", s.Name)
	}
	return process.Errorf(process.CodeInvalid, "process '%s' has had no run %d: %d was the last one", s.Name, run, last)
}

// LogQuery is what an action of process.log asks for, and whether it wants JSON.
func LogQuery(a heroscript.Action) (q process.LogQuery, json bool, err error) {
	verb, err := find(a, "'pmclient help'")
	if err != nil {
		return q, false, err
	}
	f, err := verb.read(a)
	if f.log != nil {
		q = *f.log
	}
	return q, f.json, err
}

// WriteLog writes a log in one of the formats of process.log.
func WriteLog(ctx context.Context, m Manager, name string, q process.LogQuery, json bool, w io.Writer) error {
	return writeLog(ctx, m, name, q, json, w, maxPiece)
}

// writeLog is WriteLog with so many bytes in one object.
func writeLog(ctx context.Context, m Manager, name string, q process.LogQuery, json bool, w io.Writer, piece int) error {
	if !json {
		_, err := m.Log(ctx, name, q, w)
		return err
	}
	pieces := &pieceWriter{name: name, w: w, most: piece}
	next, err := m.Log(ctx, name, q, pieces)
	pieces.next = next
	if err == nil && (pieces.data.Len() > 0 || !pieces.written) {
		err = pieces.flush()
	}
	return err
}

// Bytes is the JSON form of bytes that need not be UTF-8.
type Bytes struct {
	Name     string `json:"name"`
	Data     string `json:"data"`
	Encoding string `json:"encoding,omitempty"` // "base64", or empty for text as it is
	Next     int64  `json:"next,omitempty"`     // the offset to go on from
}

// writeBytes writes data as the JSON of [Bytes], in small steps: text with its escapes
// may be six times as long. Text goes out as it is, unless it is longer than most.
func writeBytes(w io.Writer, name string, data []byte, next int64, most int) error {
	head, err := marshal(name)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, `{"name":%s,"data":"`, head)
	end := `"`
	if len(data) <= most && utf8.Valid(data) {
		err = writeEscaped(w, data)
	} else {
		e := base64.NewEncoder(base64.StdEncoding, w)
		e.Write(data)
		err = e.Close()
		end = `","encoding":"base64"`
	}
	if err != nil {
		return err
	}
	if next != 0 {
		end += fmt.Sprintf(`,"next":%d`, next)
	}
	_, err = io.WriteString(w, end+"}\n")
	return err
}

// writeEscaped writes the inside of a JSON string.
func writeEscaped(w io.Writer, text []byte) error {
	for len(text) > 0 {
		n := min(len(text), 4<<10)
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n++
		}
		escaped, err := marshal(string(text[:n]))
		if err != nil {
			return err
		}
		if _, err := w.Write(escaped[1 : len(escaped)-1]); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// DecodeBytes reads what a line in JSON says that holds bytes. Where they are encoded this is
// much faster than package json, which looks at each.
func DecodeBytes(line []byte) (b Bytes, data []byte, err error) {
	const key = `"data":"`
	begin := bytes.Index(line, []byte(key)) + len(key) // a name holds no quote
	length := bytes.IndexByte(line[begin:], '"')
	if begin < len(key) || length < 0 || !bytes.Contains(line[begin+length:], []byte(`"encoding":"base64"`)) {
		if err = json.Unmarshal(line, &b); err == nil {
			data, err = b.Decode()
		}
		return b, data, err
	}
	rest := append(append([]byte(nil), line[:begin]...), line[begin+length:]...)
	if err := json.Unmarshal(rest, &b); err != nil {
		return b, nil, err
	}
	data = make([]byte, base64.StdEncoding.DecodedLen(length))
	n, err := base64.StdEncoding.Decode(data, line[begin:begin+length])
	return b, data[:n], err
}

// Decode is what b stands for.
func (b Bytes) Decode() ([]byte, error) {
	if b.Encoding == "" {
		return []byte(b.Data), nil
	}
	return base64.StdEncoding.DecodeString(b.Data)
}

// logged is the result of log.
type logged struct {
	ctx  context.Context
	m    Manager
	name string
	q    process.LogQuery
}

// write writes the log: as text, or one object a line: the bytes in pieces, each with
// the offset behind it.
func (l logged) write(w io.Writer, s style) error {
	return streamed(l.ctx, w, s, WriteLog(l.ctx, l.m, l.name, l.q, s.json, w))
}

func (l logged) send(w io.Writer, s style) error {
	return WriteLog(l.ctx, l.m, l.name, l.q, s.json, w)
}

func (l logged) follows() bool { return l.q.Follow }

// streamed ends a stream that ended with err: it is the last that is written, unless
// nobody listens any more.
func streamed(ctx context.Context, w io.Writer, s style, err error) error {
	if err != nil && ctx.Err() != nil {
		cause := context.Cause(ctx)
		if errors.Is(cause, context.Canceled) {
			return nil
		}
		err = process.Errorf(process.CodeShuttingDown, "%v", cause) // the daemon's own end
	}
	switch {
	case err == nil:
		return nil
	case s.json:
		return writeJSON(w, failure(err))
	}
	return writeError(w, err)
}

// pieceWriter collects bytes until it is told the offset behind them.
type pieceWriter struct {
	name    string
	w       io.Writer
	most    int // bytes of a piece
	text    int // bytes of a piece that may be text; 0: any
	data    bytes.Buffer
	next    int64
	written bool
}

// maxPiece is how many bytes of a log go into one object.
const maxPiece = 1 << 20

func (p *pieceWriter) Write(b []byte) (int, error) {
	if p.data.Len() >= p.most {
		if err := p.flush(); err != nil {
			return 0, err
		}
	}
	return p.data.Write(b)
}

// Offset is told where to go on from behind what was written.
func (p *pieceWriter) Offset(next int64) {
	p.next = next
	p.flush() // an error shows at the next write
}

func (p *pieceWriter) flush() error {
	p.written = true
	err := writeBytes(p.w, p.name, p.data.Bytes(), p.next, cmp.Or(p.text, math.MaxInt))
	p.data.Reset()
	return err
}
