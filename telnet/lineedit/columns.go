package lineedit

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Columns is how many columns the window has that w is shown in: 0 if it is no
// terminal, or one that does not say.
func Columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}
