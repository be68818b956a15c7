package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// judgeLedger holds the ledger of a process that runs each second to what was asked: each time
// is in exactly one entry. Only where it was stopped or asked for something else may times
// be left out between, and the seconds begin anew. A run came of one time at most.
func (p *player) judgeLedger() error {
	var entries []process.LedgerRecord
	o, err := p.do("ledger", func(ctx context.Context, pm *client.Client) (err error) {
		entries, err = pm.Ledger(ctx, process.Selection{p.name}, time.Time{})
		return err
	})
	switch {
	case o == refused && errors.Is(err, process.ErrNotFound), o != answered && o != refused:
		return nil
	case o == refused:
		return fmt.Errorf("ledger: %w", err)
	}
	var last time.Time
	runs, gaps := map[uint64]bool{}, 0
	for _, e := range entries {
		between := e.Time.Sub(last)
		switch {
		case e.Times() != 1+int(e.Last().Sub(e.Time)/time.Second):
			return fmt.Errorf("its ledger has %d times from %v to %v", e.Times(), e.Time, e.Last())
		case last.IsZero():
		case between <= 0:
			return fmt.Errorf("its ledger has %v twice", e.Time)
		case between != time.Second:
			gaps++
		}
		if e.Run != 0 && runs[e.Run] {
			return fmt.Errorf("its ledger has run %d at two times", e.Run)
		}
		last, runs[e.Run] = e.Last(), true
	}
	if gaps > p.changes {
		return fmt.Errorf("its ledger has %d gaps, and it was asked for something %d times", gaps, p.changes)
	}
	return nil
}
