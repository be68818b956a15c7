package main

import (
	"errors"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Whoever asks for the result of an upgrade asks again until it is done: one that never
// was must be an error.
func TestResultsOfUpgradesThatWere(t *testing.T) {
	link := new(keeper.Link) // it hands over nothing
	for _, c := range []struct {
		last   keeper.Upgrade
		number uint64
		code   process.Code
		want   string // the error; empty: it is done
	}{
		{keeper.Upgrade{}, 99, process.CodeInvalid, "there was no upgrade 99: there was none yet"},
		{keeper.Upgrade{Number: 2}, 3, process.CodeInvalid, "there was no upgrade 3: 2 was the last one"},
		{keeper.Upgrade{Number: 2}, 2, "", ""},
		{keeper.Upgrade{Number: 2}, 1, process.CodeInvalid, "upgrade 1 is long past: 2 was the last one"},
		{keeper.Upgrade{Number: 2, Err: "too late"}, 2, process.CodeUpgrade, "the old program goes on: too late"},
	} {
		u, err := upgrade(t.Context(), link, c.last, c.number)
		if c.want == "" {
			if err != nil || u != (process.Upgrade{Number: c.number, Done: true}) {
				t.Errorf("%d after %+v: %+v, %v", c.number, c.last, u, err)
			}
			continue
		}
		if !errors.Is(err, &process.Error{Code: c.code}) || err.Error() != c.want {
			t.Errorf("%d after %+v: %+v, %v", c.number, c.last, u, err)
		}
	}
}
