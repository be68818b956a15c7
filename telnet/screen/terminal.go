package screen

import "io"

// Terminal is a person's keys and screen, for a view that fills the screen. It sends single
// keys and echoes nothing.
type Terminal struct {
	Keys    <-chan []byte // as they were typed; closed when nobody is there any more
	Out     io.Writer
	Size    func() (width, height int) // of the window, 0: unknown
	Resized <-chan struct{}            // has a token when the window may have changed
	Type    string                     // as TERM has it; empty: unknown
	NoColor bool
	Suspend func() error // stands still in the background until somebody brings it back; nil: it cannot
}
