package verbs

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
)

// A grid is a table for people: rows of cells, the first of which are the titles.
type grid [][]string

// A yield is a column that makes room for the others: it is cut to so many characters
// at least, or, for 0, left out.
type yield struct {
	title string
	least int
}

const gap = 2 // blanks between two columns

func (g grid) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, gap, ' ', 0)
	for _, row := range g {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// fit makes every row fit into a line of width characters: columns in which there is
// nothing go first, then those of yields make room in turn. Room that is left over at
// the end goes back to those that were cut, the last of yields first.
func (g grid) fit(width int, yields []yield) {
	if g.width() <= width {
		return
	}
	whole := map[string][]string{}
	for i, title := range g[0] {
		whole[title] = g.column(i)
	}
	for title, column := range whole {
		if !slices.ContainsFunc(column[1:], func(cell string) bool { return cell != "-" }) {
			g.drop(title)
		}
	}
	for _, y := range yields {
		excess, i := g.width()-width, slices.Index(g[0], y.title)
		switch {
		case excess <= 0 || i < 0:
		case y.least == 0:
			g.drop(y.title)
		default:
			g.cut(i, max(y.least, widest(g.column(i))-excess))
		}
	}
	for _, y := range slices.Backward(yields) {
		if i := slices.Index(g[0], y.title); i >= 0 {
			room := widest(g.column(i)) + width - g.width()
			for r := range g {
				g[r][i] = whole[y.title][r]
			}
			g.cut(i, room)
		}
	}
}

// drop leaves a column out.
func (g grid) drop(title string) {
	if i := slices.Index(g[0], title); i >= 0 {
		for r := range g {
			g[r] = slices.Delete(g[r], i, i+1)
		}
	}
}

// cut shortens the cells of a column. Names often differ in their ends: the first
// column keeps those.
func (g grid) cut(column, width int) {
	for _, row := range g {
		end := ""
		if cell := row[column]; column == 0 && cells(cell) > width {
			end = cell[len(cell)-width/2:]
		}
		row[column] = shorten(row[column], width-len(end)) + end
	}
}

func (g grid) column(i int) (column []string) {
	for _, row := range g {
		column = append(column, row[i])
	}
	return column
}

// width is how many characters the longest row takes.
func (g grid) width() int {
	total := -gap
	for i := range g[0] {
		total += widest(g.column(i)) + gap
	}
	return total
}

func widest(column []string) (width int) {
	for _, cell := range column {
		width = max(width, cells(cell))
	}
	return width
}

// shorten is the beginning of a line that takes width cells, with a sign where more
// would follow.
func shorten(line string, width int) string {
	if cells(line) <= width {
		return line
	}
	used := 0
	for i, r := range line {
		if used += cell(r); used > width-1 {
			return line[:i] + "…"
		}
	}
	return line
}

// cells is how many places of a terminal's line a text takes.
func cells(text string) (n int) {
	for _, r := range text {
		n += cell(r)
	}
	return n
}

// cell is how many places of a terminal's line a character takes.
func cell(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
		r >= 0x3001 && r <= 0x303e, r >= 0xff01 && r <= 0xff60, r >= 0x1f300 && r <= 0x1faff:
		return 2
	}
	return 1
}
