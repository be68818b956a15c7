package client

import (
	"context"
	"errors"
	"iter"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// errEnough ends a loop over events.
var errEnough = errors.New("enough")

// EventsSince are the events with a higher number than since, those that are kept and then
// what comes, until ctx ends or the loop is left. An error is the last that it gives. See
// [Client.Events].
func (c *Client) EventsSince(ctx context.Context, since uint64) iter.Seq2[process.Event, error] {
	return func(yield func(process.Event, error) bool) {
		err := c.Events(ctx, process.EventQuery{Since: since, Follow: true}, func(e process.Event) error {
			if !yield(e, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(process.Event{}, err)
		}
	}
}
