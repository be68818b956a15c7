package verbs

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func upgradeForm(time.Time) *form {
	var number uint64
	return &form{
		params: []Param{{Name: "result", Value: "NUMBER", Help: "begin none, but say how this one ended", set: func(v string) (err error) {
			if number, err = strconv.ParseUint(v, 10, 64); err != nil || number == 0 {
				return fmt.Errorf("%s is not the number of an upgrade: 1 or more", process.Printable(v))
			}
			return nil
		}}},
		do: func(ctx context.Context, m Manager) (result, error) {
			u, err := m.Upgrade(ctx, number)
			return upgraded(u), err
		},
	}
}

// upgraded is the result of upgrade.
type upgraded process.Upgrade

func (u upgraded) write(w io.Writer, s style) (err error) {
	switch {
	case s.json:
		return writeJSON(w, process.Upgrade(u))
	case u.Done:
		_, err = fmt.Fprintln(w, "the program on disk has taken over")
	default:
		_, err = fmt.Fprintf(w, "handing over to the program on disk; connect again, and ask !!upgrade result:%d\n", u.Number)
	}
	return err
}

func doctorForm(time.Time) *form {
	return &form{do: func(ctx context.Context, m Manager) (result, error) {
		report, err := m.Doctor(ctx)
		return reported(report), err
	}}
}
