package verbs

import (
	"fmt"
	"io"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// reported is the result of doctor.
type reported process.Report

func (r reported) write(w io.Writer, s style) error {
	if s.json {
		return writeJSON(w, process.Report(r))
	}
	return WriteReport(w, process.Report(r), s.width)
}

// WriteReport writes a report for people, in a window of width columns, 0 for any
// number: a finding a line, and below it the command that mends it, once where several
// findings share it.
func WriteReport(w io.Writer, r process.Report, width int) error {
	const indent, most, least = "                            ", 80, 20
	room := most
	width = screen.Columns(width)
	if width > 0 {
		room = min(max(width-len(indent), least), most)
	}
	for i, f := range r.Findings {
		fmt.Fprintf(w, "%s %s %s\n", screen.Pad(f.Level.String(), 8), screen.Pad(screen.Line(f.Subject), 18), wrapped(f.Found, indent, room))
		shared := i+1 < len(r.Findings) && r.Findings[i+1].Mend == f.Mend
		if f.Mend != "" && !shared {
			fmt.Fprintf(w, "%27s %s\n", "mend:", wrapped(f.Mend, indent, room))
		}
	}
	end := "no problem was found"
	if !r.OK() {
		end = "there are problems: the daemon cannot start, or cannot keep its promises"
	}
	_, err := fmt.Fprintln(w, "\n"+wrapped(end, "", room+len(indent)))
	return err
}

// wrapped breaks text into lines of at most width cells where it has blanks, the later
// ones indented.
func wrapped(text, indent string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(screen.Text(text)) {
		switch n := screen.Cells(word); {
		case i == 0:
			column = n
		case column+1+n > width:
			b.WriteString("\n" + indent)
			column = n
		default:
			b.WriteByte(' ')
			column += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}
