package verbs

import (
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// forest is who needs whom, from some processes down.
type forest struct {
	roots []string
	all   map[string]process.Status
}

// needsTree is the forest of what is selected; of all, from those that nobody needs.
func needsTree(of process.Selection, all []process.Outcome) (result, error) {
	f := forest{all: map[string]process.Status{}}
	needed := map[string]bool{}
	for _, o := range all {
		if o.Err == nil {
			f.all[o.Name] = o.Status
			for _, before := range o.Status.Before() {
				needed[before] = true
			}
		}
	}
	known := slices.Sorted(maps.Keys(f.all))
	if len(of) == 0 {
		f.roots = slices.DeleteFunc(known, func(name string) bool { return needed[name] })
		return f, nil
	}
	names, err := of.Resolve(known)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := f.all[name]; !ok {
			return nil, process.NotFound(name)
		}
	}
	f.roots = names
	return f, nil
}

// node is a process in the forest, in JSON.
type node struct {
	Name   string        `json:"name"`
	Status process.State `json:"status,omitempty"` // 0: there is no such process
	How    string        `json:"how,omitempty"`    // it comes before the one above: needed, completed or after
	Before []node        `json:"before,omitempty"`
}

// Ways to come before another process.
const (
	howNeeded    = "needed"
	howCompleted = "completed"
	howAfter     = "after"
)

// below is the node of a process with all that comes before it.
func (f forest) below(name, how string, above []string) node {
	status, ok := f.all[name]
	n := node{Name: name, How: how}
	if !ok || slices.Contains(above, name) { // a cycle cannot be, but what is stored could have one
		return n
	}
	n.Status = status.State
	above = append(slices.Clone(above), name)
	needs := status.AllNeeds()
	for _, need := range needs {
		how := howNeeded
		if need.Completed {
			how = howCompleted
		}
		n.Before = append(n.Before, f.below(need.Name, how, above))
	}
	for _, after := range status.Before()[len(needs):] {
		n.Before = append(n.Before, f.below(after, howAfter, above))
	}
	return n
}

func (f forest) write(w io.Writer, s style) error {
	nodes := make([]node, 0, len(f.roots))
	for _, name := range f.roots {
		nodes = append(nodes, f.below(name, "", nil))
	}
	if s.json {
		return writeJSON(w, nodes)
	}
	if len(nodes) == 0 {
		_, err := io.WriteString(w, "no processes\n")
		return err
	}
	type line struct{ text, state string }
	var lines []line
	widest := 0
	told := map[string]bool{} // with all that is below it
	var draw func(n node, lead, next string)
	draw = func(n node, lead, next string) {
		text, state := lead+screen.Line(n.Name), "not defined"
		switch {
		case n.How == howCompleted:
			text += " (completed)"
		case n.How == howAfter:
			text += " (after)"
		}
		if n.Status != 0 {
			state = n.Status.String()
		}
		again := told[n.Name] && len(n.Before) > 0
		if again {
			state += ", see above"
		}
		told[n.Name] = true
		widest = max(widest, screen.Cells(text))
		lines = append(lines, line{text, state})
		if again {
			return
		}
		for i, before := range n.Before {
			if i < len(n.Before)-1 {
				draw(before, next+"├─ ", next+"│  ")
			} else {
				draw(before, next+"└─ ", next+"   ")
			}
		}
	}
	for _, n := range nodes {
		draw(n, "", "")
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(screen.Pad(l.text, widest+gap) + l.state + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
