package verbs

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// recorder is a Manager that notes what it was asked, and answers with what it
// was given.
type recorder struct {
	asked  []string
	status process.Status
	all    []process.Status
	output []byte
	report process.Report
	err    error
	logErr error // of a log, behind output
}

func (r *recorder) note(format string, args ...any) {
	r.asked = append(r.asked, fmt.Sprintf(format, args...))
}

func (r *recorder) Start(_ context.Context, spec process.Spec) (process.Status, error) {
	r.note("start %+v", spec)
	return r.status, r.err
}

func (r *recorder) Stop(_ context.Context, name string) (process.Status, error) {
	r.note("stop %s", name)
	return r.status, r.err
}

func (r *recorder) Restart(_ context.Context, name, jobID string) (process.Status, error) {
	r.note("restart %s job %q", name, jobID)
	return r.status, r.err
}

func (r *recorder) Delete(_ context.Context, name string) error {
	r.note("delete %s", name)
	return r.err
}

func (r *recorder) Status(_ context.Context, name string) (process.Status, error) {
	r.note("status %s", name)
	return r.status, r.err
}

func (r *recorder) List(context.Context) ([]process.Status, error) {
	r.note("list")
	return r.all, r.err
}

func (r *recorder) Upgrade(_ context.Context, number uint64) (process.Upgrade, error) {
	r.note("upgrade %d", number)
	return process.Upgrade{Number: max(number, 1), Done: number > 0}, r.err
}

func (r *recorder) Doctor(context.Context) (process.Report, error) {
	r.note("doctor")
	return r.report, r.err
}

func (r *recorder) Log(_ context.Context, name string, q process.LogQuery, w io.Writer) (int64, error) {
	r.note("log %s %d", name, q.Lines)
	n, err := w.Write(r.output)
	return int64(n), cmp.Or(err, r.logErr)
}
