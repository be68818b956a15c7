package verbs

import (
	"io"
	"slices"
	"strings"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// A grid is a table for people: rows of cells, the first of which are the titles.
type grid [][]string

// A yield is a column that makes room for the others: it is cut to so many cells
// at least, or, for 0, left out.
type yield struct {
	title string
	least int
}

const gap = 2 // blanks between two columns

// add adds a row. A cell is one line, with nothing that a terminal would act on.
func (g *grid) add(cells ...string) {
	for i := range cells {
		cells[i] = screen.Line(cells[i])
	}
	*g = append(*g, cells)
}

// rows adds a row of a title and a value, where there is one.
func (g *grid) rows() func(title, value string) {
	return func(title, value string) {
		if value != "" {
			g.add(title+":", firstLine(value, 400))
		}
	}
}

func (g grid) write(w io.Writer) error {
	var widths []int
	for i := range g[0] {
		widths = append(widths, widest(g.column(i)))
	}
	var b strings.Builder
	for _, row := range g {
		last := len(row) - 1
		for i, cell := range row[:last] {
			b.WriteString(screen.Pad(cell, widths[i]+gap))
		}
		b.WriteString(row[last] + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// told writes the rows that there are, in a window of width columns, 0 for any number, and
// then what failed.
func (g grid) told(w io.Writer, width int, yields []yield, failed []error) (err error) {
	if len(g) > 1 {
		if width > 0 {
			g.fit(width, yields)
		}
		err = g.write(w)
	}
	for _, one := range failed {
		if err == nil {
			err = writeError(w, one)
		}
	}
	return err
}

// fit makes every row fit into a line of width cells: columns in which there is
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
		if cell := row[column]; column == 0 && screen.Cells(cell) > width {
			end = screen.End(cell, width/2)
		}
		row[column] = screen.Cut(row[column], width-screen.Cells(end)) + end
	}
}

func (g grid) column(i int) (column []string) {
	for _, row := range g {
		column = append(column, row[i])
	}
	return column
}

// width is how many cells the longest row takes.
func (g grid) width() int {
	total := -gap
	for i := range g[0] {
		total += widest(g.column(i)) + gap
	}
	return total
}

func widest(column []string) (width int) {
	for _, cell := range column {
		width = max(width, screen.Cells(cell))
	}
	return width
}
