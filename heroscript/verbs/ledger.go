package verbs

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func ledgerForm(now time.Time) *form {
	var of process.Selection
	var since time.Time
	last := 0
	return &form{
		params: []Param{
			selected(&of),
			{Name: "since", Value: "TIME", Help: "only times from this one on: " + momentForms + " (default: all that are kept)", set: func(v string) (err error) {
				since, err = parseTime(v, now)
				return err
			}},
			{Name: "limit", Value: "NUMBER", Help: "this many of the last entries of each, at most (default: all that are kept)", set: func(v string) (err error) {
				last, err = positive(v, "a number of entries")
				return err
			}},
		},
		do: func(ctx context.Context, m Manager) (result, error) {
			list, err := m.Ledger(ctx, of, since)
			_, plain := of.Name()
			if plain && err == nil && len(list) > 0 {
				err = list[0].Err
			}
			return ledger{lastOfEach(list, last), plain}, err
		},
	}
}

// lastOfEach are the last n records of each process; 0: all.
func lastOfEach(list []process.LedgerRecord, n int) []process.LedgerRecord {
	if n == 0 {
		return list
	}
	left := map[string]int{} // records of a process that are yet to come
	for _, r := range list {
		left[r.Name]++
	}
	return slices.DeleteFunc(list, func(r process.LedgerRecord) bool {
		left[r.Name]--
		return left[r.Name] >= n
	})
}

// LedgerAction is the action that asks for the ledger of what is selected.
func LedgerAction(of process.Selection, since time.Time) heroscript.Action {
	a := NewAction("process.ledger", "name", of.String())
	if !since.IsZero() {
		a.Params = append(a.Params, heroscript.Param{Key: "since", Value: since.Format(time.RFC3339Nano)})
	}
	return a
}

// ledger is the result of ledger.
type ledger struct {
	list  []process.LedgerRecord
	plain bool // one plain name was given
}

func (l ledger) write(w io.Writer, s style) error {
	if s.json {
		return writeArray(w, l.list)
	}
	told, failed := l.apart()
	if len(told) == 0 && len(failed) == 0 {
		_, err := fmt.Fprintln(w, "no time of a schedule has come")
		return err
	}
	var g grid
	g.add("NAME", "TIME", "OUTCOME", "DETAILS")
	for _, r := range told {
		g.add(r.Name, ZonedTime(r.Time), fate(r.LedgerEntry), orDash(firstLine(fateDetails(r.LedgerEntry), 200)))
	}
	if l.plain {
		g.drop("NAME")
	}
	return g.told(w, s.width, ledgerYields, failed)
}

func (l ledger) apart() ([]process.LedgerRecord, []error) {
	return setApart(slices.Values(l.list), func(one process.LedgerRecord) error { return one.Err })
}

func (l ledger) split() (result, []error) {
	told, failed := l.apart()
	return orNothing(ledger{told, l.plain}, len(told), failed)
}

// ledgerYields is what makes room in a narrow window.
var ledgerYields = []yield{{"DETAILS", 24}, {"NAME", 16}, {"DETAILS", 0}, {"NAME", 6}}

// fate is what became of the times of an entry, in a few words.
func fate(e process.LedgerEntry) string {
	text := strings.ReplaceAll(e.Outcome.String(), "_", " ")
	if n := e.Times(); n > 1 {
		text += fmt.Sprintf(" %d times", n)
	}
	return text
}

// fateDetails are the run that came of an entry, how late that was, and why.
func fateDetails(e process.LedgerEntry) string {
	var words []string
	if e.Times() > 1 {
		words = append(words, "until "+ZonedTime(e.Last()))
	}
	if e.Run != 0 {
		words = append(words, fmt.Sprintf("run %d", e.Run), lateness(e.LateSeconds))
	}
	text := strings.Join(words, ", ")
	switch {
	case e.Reason == "":
		return text
	case text == "":
		return e.Reason
	}
	return text + ": " + e.Reason
}

// lateness is how late something was, for people: to the tenth where that is of interest.
func lateness(seconds float64) string {
	switch {
	case seconds < 0.05:
		return "on time"
	case seconds < 9.95:
		return fmt.Sprintf("%.1fs late", seconds)
	}
	return Seconds(math.Round(seconds)) + " late"
}
