package verbs

import (
	"context"
	"fmt"
	"io"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// RunScript carries out every action of a script, one after another, and writes
// the answers to w, for a window of width columns. Nothing is carried out when the script does not parse or an
// action could not be: the error says line and column. It stops at the first
// action that fails; the error says its line.
func RunScript(ctx context.Context, m Manager, text string, w io.Writer, width int) error {
	script, err := heroscript.Parse(text)
	if err != nil {
		return process.Errorf(process.CodeSyntax, "%v; nothing was carried out", err)
	}
	for _, a := range script {
		if err := Check(a); err != nil {
			return fmt.Errorf("%w; nothing was carried out", err)
		}
	}
	for i, a := range script {
		answer := Run(ctx, m, a)
		answer.Width = width
		failed := answer.Err
		if comes, ok := answer.body.(stream); ok && failed == nil {
			if failed = comes.send(w, style{json: answer.JSON}); comes.follows() && ctx.Err() != nil {
				failed = nil
			}
		} else if failed == nil {
			if err := answer.Write(w); err != nil {
				return err
			}
			failed = answer.firstFailure()
		}
		if failed != nil {
			return fmt.Errorf("line %d: %s: %w; %d of %d actions were carried out", a.Pos.Line, a.Verb(), failed, i, len(script))
		}
	}
	return nil
}

func (a Answer) firstFailure() error {
	if body, ok := a.body.(partial); ok {
		if _, failed := body.split(); len(failed) > 0 {
			return failed[0]
		}
	}
	return nil
}
