package lineedit

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// maxListed is how many words are shown at once.
const maxListed = 200

// columns lists words, as many in a line as there is room for.
func columns(words []string, width int) string {
	left := max(0, len(words)-maxListed)
	shown := make([]string, len(words)-left)
	wide := 0
	for i := range shown {
		shown[i] = screen.Line(strings.TrimSpace(words[i]))
		wide = max(wide, screen.Cells(shown[i]))
	}
	perLine := max(1, (width+2)/(wide+2))
	var out strings.Builder
	for i, w := range shown {
		if i == len(shown)-1 || (i+1)%perLine == 0 {
			out.WriteString(w + "\n")
		} else {
			out.WriteString(screen.Pad(w, wide+2))
		}
	}
	if left > 0 {
		fmt.Fprintf(&out, "… and %d more\n", left)
	}
	return out.String()
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
