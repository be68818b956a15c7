package lineedit

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// fold breaks a line that is wider than the window, at blanks where there are
// any. What follows stands below the last column, if that begins in the left half:
// columns are two blanks apart.
func fold(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	text := []rune(line)
	indent := 0
	for i := 2; i <= width/2; i++ {
		if text[i] != ' ' && text[i-1] == ' ' && text[i-2] == ' ' {
			indent = i
		}
	}
	var out strings.Builder
	for {
		if len(text) <= width {
			out.WriteString(string(text))
			return out.String()
		}
		end := width
		for i := width; i > indent; i-- {
			if text[i] == ' ' {
				end = i
				break
			}
		}
		out.WriteString(strings.TrimRight(string(text[:end]), " ") + "\n")
		rest := strings.TrimLeft(string(text[end:]), " ")
		text = []rune(strings.Repeat(" ", indent) + rest)
	}
}

// maxListed is how many words are shown at once.
const maxListed = 200

// columns lists words, as many in a line as there is room for.
func columns(words []string, width int) string {
	left := max(0, len(words)-maxListed)
	words = words[:len(words)-left]
	wide := 0
	for _, w := range words {
		wide = max(wide, utf8.RuneCountInString(strings.TrimSpace(w)))
	}
	perLine := max(1, (width+2)/(wide+2))
	var out strings.Builder
	for i, w := range words {
		w = strings.TrimSpace(w)
		out.WriteString(w)
		if i == len(words)-1 || (i+1)%perLine == 0 {
			out.WriteByte('\n')
		} else {
			out.WriteString(strings.Repeat(" ", wide+2-utf8.RuneCountInString(w)))
		}
	}
	if left > 0 {
		fmt.Fprintf(&out, "… and %d more\n", left)
	}
	return out.String()
}
