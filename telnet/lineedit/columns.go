package lineedit

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Fold breaks lines that are wider than a window, at blanks and within their last
// column where there are any. Width 0 is a window of any width.
func Fold(text string, width int) string {
	if width <= 0 {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = fold(line, max(width, minWidth))
	}
	return strings.Join(lines, "\n")
}

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
