package verbs

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// recorder is a Manager that notes what it was asked, and answers with what it
// was given.
type recorder struct {
	asked   []string
	spec    process.Spec // that a start asked for
	status  process.Status
	all     []process.Status
	runs    []process.RunRecord
	ledger  []process.LedgerRecord
	coming  []process.Coming
	events  []process.Event
	figures [][]process.Figures
	trees   []process.Tree

	reclaimed []process.Reclaimed

	output []byte
	report process.Report

	source string // of what is deleted

	application process.Application // that was asked for
	applied     []process.Applied
	exported    []process.Exported

	err    error
	logErr error // of a log, behind output
}

// formatted is an action as it is asked for: what was read of one is the same again.
func formatted(a heroscript.Action) string {
	return strings.TrimSpace(heroscript.Format(heroscript.Script{a}))
}

// settings are the fields of a spec that were given.
func settings(s process.Spec) string {
	list := []string{"name:" + s.Name}
	for i := range process.Fields {
		if text := process.Fields[i].Text(s); text != "" {
			list = append(list, process.Fields[i].Name+":"+text)
		}
	}
	if s.JobID != "" {
		list = append(list, "jobid:"+s.JobID)
	}
	return "{" + strings.Join(list, " ") + "}"
}

func (r *recorder) note(format string, args ...any) {
	r.asked = append(r.asked, fmt.Sprintf(format, args...))
}

func (r *recorder) StartSpec(_ context.Context, spec process.Spec, how process.How) (process.Status, error) {
	r.spec = spec
	r.note("start %s", settings(spec))
	if how.Wait != "" {
		r.note("wait %s", how.Wait)
	}
	if how.Replace {
		r.note("replace")
	}
	return r.status, r.err
}

func (r *recorder) Define(_ context.Context, spec process.Spec) (process.Status, error) {
	r.spec = spec
	r.note("define %s", settings(spec))
	return r.status, r.err
}

func (r *recorder) Apply(_ context.Context, a process.Application) ([]process.Applied, error) {
	r.application = a
	r.note("apply %q %q prune:%v dry:%v restart:%v", a.Path, a.Files, a.Prune, a.DryRun, a.Restart)
	return r.applied, r.err
}

func (r *recorder) Export(_ context.Context, of process.Selection) ([]process.Exported, error) {
	r.note("export %v", of)
	return r.exported, r.err
}

// outcomes are one for each plain name, and for a pattern one for all that there are.
func (r *recorder) outcomes(of process.Selection) (list []process.Outcome, err error) {
	var known []string
	for _, s := range r.all {
		known = append(known, s.Name)
	}
	names, err := of.Resolve(known)
	if len(of) == 0 {
		names = known
	}
	for _, name := range names {
		o := process.Outcome{Name: name, Status: r.status, Err: r.err}
		for _, s := range r.all {
			if s.Name == name {
				o.Status = s
			}
		}
		list = append(list, o)
	}
	return list, err
}

func (r *recorder) Do(_ context.Context, of process.Selection, op process.Operation) ([]process.Outcome, error) {
	r.note("%T %+v of %v", op, op, of)
	list, err := r.outcomes(of)
	if _, ok := op.(process.Delete); ok {
		for i := range list {
			list[i].Status, list[i].Source = process.Status{}, r.source
		}
	}
	return list, err
}

func (r *recorder) Execute(_ context.Context, e process.Exec, w process.Watcher) error {
	r.note("exec %s %q rm:%v run:%d from:%d", e.Spec.Name, e.Spec.Command, e.Remove, e.Run, e.From)
	w.Begun(1)
	w.Write([]byte("hello"))
	w.Offset(5)
	return w.Ended(process.Waited{Name: e.Spec.Name, State: r.status.State, Run: process.Run{Number: 1, Cause: process.CauseExit, ExitCode: new(3)}})
}

func (r *recorder) Await(_ context.Context, of process.Selection, w process.WaitFor) (list []process.Waited, err error) {
	r.note("await %v %+v", of, w)
	all, err := r.outcomes(of)
	for _, o := range all {
		list = append(list, process.Waited{Name: o.Name, State: o.Status.State, PID: o.Status.PID, Run: o.Status.Run, Err: o.Err})
	}
	return list, err
}

func (r *recorder) Show(_ context.Context, of process.Selection, d process.Detail) ([]process.Outcome, error) {
	r.note("show %v", of)
	if d == process.WithDevices {
		r.note("with devices")
	}
	return r.outcomes(of)
}

func (r *recorder) Reclaim(_ context.Context, of process.Selection, bytes uint64) ([]process.Reclaimed, error) {
	r.note("reclaim %v %d", of, bytes)
	return r.reclaimed, r.err
}

func (r *recorder) Tree(_ context.Context, of process.Selection) ([]process.Tree, error) {
	r.note("tree %v", of)
	return r.trees, r.err
}

func (r *recorder) Runs(_ context.Context, q process.RunQuery) (iter.Seq[process.RunRecord], error) {
	r.note("%s", formatted(RunsAction(q)))
	return slices.Values(r.runs), r.err
}

func (r *recorder) Ledger(_ context.Context, of process.Selection, since time.Time) ([]process.LedgerRecord, error) {
	r.note("ledger %v since %s", of, since.UTC().Format(time.RFC3339))
	return r.ledger, r.err
}

func (r *recorder) Next(_ context.Context, of process.Selection, most int) ([]process.Coming, error) {
	r.note("next %v %d", of, most)
	return r.coming, r.err
}

func (r *recorder) Events(_ context.Context, q process.EventQuery, tell func(process.Event) error) error {
	r.note("%s", formatted(EventsAction(q)))
	for _, e := range r.events {
		if err := tell(e); err != nil {
			return err
		}
	}
	return r.err
}

func (r *recorder) Figures(_ context.Context, follow bool, tell func([]process.Figures) error) error {
	r.note("%s", formatted(FiguresAction(follow)))
	for _, rows := range r.figures {
		if err := tell(rows); err != nil {
			return err
		}
	}
	return r.err
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
