package client

import (
	"context"
	"encoding/json"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Figures tells what all processes use, by name, over a connection of its own. With follow it
// goes on, once a second, with those of which something has changed, or nothing, until ctx
// ends, tell fails or Close is called. When the connection is lost it ends in
// ErrConnectionLost: a further call begins with all again.
func (c *Client) Figures(ctx context.Context, follow bool, tell func([]process.Figures) error) error {
	ctx, release := c.untilClosed(ctx)
	defer release()
	return c.stream(ctx, verbs.FiguresAction(follow), func(line []byte) error {
		var rows []process.Figures
		if err := json.Unmarshal(line, &rows); err != nil {
			return notExpected(err)
		}
		return tell(rows)
	})
}
