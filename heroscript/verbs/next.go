package verbs

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// comingOfOne is how many times of one process are told where nobody says how many.
const comingOfOne = 5

func nextForm(now time.Time) *form {
	var of process.Selection
	most := 0
	return &form{
		params: []Param{
			narrowed(&of, "only of these"),
			{Name: "limit", Value: "NUMBER", Help: fmt.Sprintf("this many times of each at most (default %d where one is named, otherwise 1); of all together the first %d", comingOfOne, process.MaxComingOfAll), set: func(v string) (err error) {
				if most, err = positive(v, "a number of times"); err == nil && most > process.MaxComing {
					err = fmt.Errorf("%d are too many: at most %d", most, process.MaxComing)
				}
				return err
			}},
		},
		do: func(ctx context.Context, m Manager) (result, error) {
			_, plain := of.Name()
			if most == 0 {
				if most = 1; plain {
					most = comingOfOne
				}
			}
			list, err := m.Next(ctx, of, most)
			if plain && err == nil && len(list) > 0 {
				err = list[0].Err
			}
			return comings{list, now}, err
		},
	}
}

// NextAction is the action that asks for the times to come of what is selected, so many of
// each at most.
func NextAction(of process.Selection, most int) heroscript.Action {
	a := NewAction("process.next", "limit", strconv.Itoa(most))
	if len(of) > 0 {
		a.Params = append([]heroscript.Param{{Key: "name", Value: of.String()}}, a.Params...)
	}
	return a
}

// comings is the result of next.
type comings struct {
	list []process.Coming
	now  time.Time
}

func (c comings) write(w io.Writer, s style) error {
	if s.json {
		return writeArray(w, c.list)
	}
	times, failed := c.apart()
	if len(times) == 0 && len(failed) == 0 {
		_, err := fmt.Fprintln(w, "no time of a schedule is to come")
		return err
	}
	var g grid
	told := false // that one does not begin at its time
	g.add("TIME", "IN", "NAME", "BEGINS")
	for _, n := range times {
		begins := "-"
		switch late := n.Start.Sub(n.Time); {
		case n.Paused:
			begins, told = "not: its schedule is paused", true
		case n.Skipped:
			begins, told = "not: skipped on request", true
		case late > 0:
			begins, told = Seconds(late.Seconds())+" later", true
		}
		g.add(ZonedTime(n.Time), away(n.Time.Sub(c.now)), n.Name, begins)
	}
	if !told {
		g.drop("BEGINS")
	}
	return g.told(w, s.width, nextYields, failed)
}

// away is how far away a time is, for people: to the second, as far as that is of
// interest.
func away(d time.Duration) string {
	if d < time.Second {
		return "now"
	}
	text := Seconds(d.Truncate(time.Second).Seconds())
	for _, even := range []string{"d0h", "h00m", "m00s"} {
		if head, ok := strings.CutSuffix(text, even); ok {
			text = head + even[:1]
		}
	}
	return "in " + text
}

func (c comings) apart() ([]process.Coming, []error) {
	return setApart(slices.Values(c.list), func(one process.Coming) error { return one.Err })
}

func (c comings) split() (result, []error) {
	told, failed := c.apart()
	return orNothing(comings{told, c.now}, len(told), failed)
}

// nextYields is what makes room in a narrow window.
var nextYields = []yield{{"NAME", 16}, {"BEGINS", 0}, {"IN", 0}, {"NAME", 6}}
