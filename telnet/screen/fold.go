package screen

import "strings"

// Fold breaks the lines of text that are wider than width, at blanks where there are
// any. What follows stands below the last column, if that begins in the left half:
// columns are two blanks apart. Width 0 is any width.
func Fold(text string, width int) string {
	if width <= 0 {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = foldLine(line, width)
	}
	return strings.Join(lines, "\n")
}

func foldLine(line string, width int) string {
	indent := lastColumn(line, width/2)
	lead := 0 // blanks in front of what is left of the line
	var out strings.Builder
	for {
		end := breakAt(line, lead, indent, width)
		out.WriteString(strings.Repeat(" ", lead))
		if end == len(line) {
			out.WriteString(line)
			return out.String()
		}
		out.WriteString(strings.TrimRight(line[:end], " "))
		if line = strings.TrimLeft(line[end:], " "); line == "" {
			return out.String()
		}
		out.WriteByte('\n')
		lead = indent
	}
}

// lastColumn is where the last column begins that begins at most at cell most; 0: none.
func lastColumn(line string, most int) (column int) {
	at, blanks := 0, 0
	for _, r := range line {
		if at > most {
			break
		}
		switch {
		case r == ' ':
			blanks++
		case blanks >= 2:
			column, blanks = at, 0
		default:
			blanks = 0
		}
		at += cell(r)
	}
	return column
}

// breakAt is how many bytes of line stand on one line of width cells behind lead
// blanks: at least one character.
func breakAt(line string, lead, indent, width int) int {
	column, blank := lead, 0
	for i, r := range line {
		if r == ' ' && column > indent {
			blank = i
		}
		if column += cell(r); column > width && i > 0 {
			if blank > 0 {
				return blank
			}
			return i
		}
	}
	return len(line)
}
