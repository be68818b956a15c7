package verbs

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func exportForm(time.Time) *form {
	var of process.Selection
	return &form{
		params: []Param{narrowed(&of, "only these")},
		do: func(ctx context.Context, m Manager) (result, error) {
			list, err := m.Export(ctx, of)
			if _, plain := of.Name(); plain && err == nil && len(list) > 0 {
				err = list[0].Err
			}
			return exported(list), err
		},
	}
}

// ExportAction is the action that asks for the definitions of what is selected.
func ExportAction(of process.Selection) heroscript.Action {
	if len(of) == 0 {
		return NewAction("process.export")
	}
	return NewAction("process.export", "name", of.String())
}

// exported is the result of export. It is written byte for byte, as a log is: somebody
// keeps it in a file.
type exported []process.Exported

func (e exported) write(w io.Writer, s style) error {
	failed, err := e.tell(w, s)
	for _, one := range failed {
		if err == nil && !s.json {
			err = writeError(w, one)
		}
	}
	return err
}

// send writes what there is, for somebody who is told apart what failed.
func (e exported) send(w io.Writer, s style) error {
	failed, err := e.tell(w, s)
	return errors.Join(append(failed, err)...)
}

func (e exported) follows() bool { return false }

func (e exported) tell(w io.Writer, s style) (failed []error, err error) {
	between := ""
	for _, one := range e {
		switch {
		case one.Err != nil:
			failed = append(failed, one.Err)
		case !s.json && err == nil:
			_, err = io.WriteString(w, between+one.Text)
			between = "\n"
		}
	}
	if s.json {
		err = writeArray(w, e)
	}
	return failed, err
}
