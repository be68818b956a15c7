package verbs

import (
	"context"
	"errors"
	"fmt"
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
			if err != nil {
				return nil, err
			}
			all, err := eachOf(of, list, func(t process.Tree) error { return t.Err }, drawnTree)
			all.apart = "\n"
			return all, err
		},
	}
}

// TreeAction is the action that asks for the kernel processes of what is selected.
func TreeAction(of process.Selection) heroscript.Action {
	return NewAction("process.tree", "name", of.String())
}

// drawnTree is the tree of each run of a process.
func drawnTree(t process.Tree, width int) string {
	if len(t.Runs) == 0 {
		return fmt.Sprintf("process '%s' is %s: nothing of it runs\n", screen.Line(t.Name), t.State)
	}
	var b strings.Builder
	for i, r := range t.Runs {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(runHead(t.Name, r) + "\n")
		drawn(r.Processes).told(&b, width, treeYields, nil)
	}
	return b.String()
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
