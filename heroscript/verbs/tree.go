package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

func treeForm(time.Time) *form {
	var of process.Selection
	var needs bool
	return &form{
		params: []Param{
			narrowed(&of, "the kernel processes of these; with needs, only what these need"),
			toggle("needs", "draw what each process needs, and below it what that needs", &needs),
		},
		check: func() error {
			if len(of) == 0 && !needs {
				return errors.New("name: whose kernel processes? give the name of a process (pmclient tree web), or needs:true for what processes need (pmclient tree -needs)")
			}
			return nil
		},
		do: func(ctx context.Context, m Manager) (result, error) {
			if needs {
				all, err := m.Show(ctx, nil, process.Brief)
				if err != nil {
					return nil, err
				}
				return needsTree(of, all)
			}
			list, err := m.Tree(ctx, of)
			_, plain := of.Name()
			if plain && err == nil && len(list) == 1 {
				err = list[0].Err
			}
			return trees{list, plain}, err
		},
	}
}

// TreeAction is the action that asks for the kernel processes of what is selected.
func TreeAction(of process.Selection) heroscript.Action {
	return NewAction("process.tree", "name", of.String())
}

// trees is the result of tree.
type trees struct {
	list  []process.Tree
	plain bool // one plain name was given: in JSON one object
}

func (t trees) split() (result, []error) {
	told, failed := setApart(slices.Values(t.list), func(one process.Tree) error { return one.Err })
	return trees{told, t.plain}, failed
}

func (t trees) write(w io.Writer, s style) error {
	switch {
	case s.json && t.plain && len(t.list) == 1:
		return writeJSON(w, t.list[0])
	case s.json:
		return writeArray(w, t.list)
	}
	told, failed := setApart(slices.Values(t.list), func(one process.Tree) error { return one.Err })
	between := ""
	for _, one := range told {
		for _, r := range one.Runs {
			io.WriteString(w, between+runHead(one.Name, r)+"\n")
			if err := drawn(r.Processes).told(w, s.width, treeYields, nil); err != nil {
				return err
			}
			between = "\n"
		}
		if len(one.Runs) == 0 {
			if _, err := fmt.Fprintf(w, "%sprocess '%s' is %s: nothing of it runs\n", between, screen.Line(one.Name), one.State); err != nil {
				return err
			}
			between = "\n"
		}
	}
	return grid{}.told(w, 0, nil, failed)
}

// runHead is what stands above the tree of a run.
func runHead(name string, r process.RunTree) string {
	count := "1 kernel process"
	if n := len(r.Processes); n != 1 {
		count = fmt.Sprintf("%d kernel processes", n)
	}
	text := fmt.Sprintf("process '%s', run %d, %s: %s", screen.Line(name), r.Run, r.State, count)
	if r.PID == 0 && len(r.Processes) > 0 {
		text += ", the main process has ended"
	}
	return text
}

// maxIndent is how many levels of a tree are drawn apart.
const maxIndent = 32

// drawn is the tree of a run as a table.
func drawn(all []process.KernelProcess) (g grid) {
	g.add("PID", "AGE", "CPU TIME", "RSS", "STATE", "COMMAND")
	last := lastOfTheirs(all)
	var leads []string // by level: what stands before those below
	for i, p := range all {
		level := min(p.Level, maxIndent)
		lead := ""
		if level > 0 {
			leads = leads[:min(level, len(leads))]
			lead = strings.Join(leads[1:], "")
			if last[i] {
				lead += "└─ "
			} else {
				lead += "├─ "
			}
		}
		below := "│  "
		if last[i] {
			below = "   "
		}
		leads = append(leads[:min(level, len(leads))], below)
		g.add(fmt.Sprint(p.PID), Seconds(p.Age), cpuTime(p.CPU), Size(p.RSS), string(p.State), lead+mark(p)+p.Command)
	}
	return g
}

// lastOfTheirs says of each whether no other follows that stands below the same one.
func lastOfTheirs(all []process.KernelProcess) []bool {
	last := make([]bool, len(all))
	seen := map[int]bool{}
	for i, p := range slices.Backward(all) {
		last[i] = !seen[p.Under]
		seen[p.Under] = true
	}
	return last
}

// mark says why a process does not stand below its parent.
func mark(p process.KernelProcess) string {
	switch {
	case p.Reparented && p.Under != p.ParentPID:
		return "(reparented) "
	case p.Under == 0 && !p.Main && p.ParentPID > 0:
		return fmt.Sprintf("(child of %d) ", p.ParentPID)
	case p.Under == 0 && !p.Main:
		return "(child of another) "
	}
	return ""
}

// treeYields is what makes room in a narrow window.
var treeYields = []yield{{"COMMAND", 40}, {"CPU TIME", 0}, {"AGE", 0}, {"RSS", 0}, {"COMMAND", 20}, {"STATE", 7}, {"COMMAND", 4}}
