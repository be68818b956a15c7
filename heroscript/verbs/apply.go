package verbs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const applyVerb = "process.apply"

// maxPath is how long a path may be (PATH_MAX).
const maxPath = 4096

// StandardInput is the path of what comes from there, or was typed.
const StandardInput = "-"

func applyForm(time.Time) *form {
	var a process.Application
	var text, table *string // nil: not given
	keep := func(to **string) func(string) error {
		return func(v string) error {
			*to = &v
			return nil
		}
	}
	return &form{
		params: []Param{
			{Name: "definitions", Value: "TEXT", Most: ownBound, Help: "actions of process.define; without it, the files of the daemon's own folder", set: keep(&text)},
			{Name: "path", Value: "PATH", Most: maxPath, Help: "the file or folder that they are of", set: func(v string) error {
				a.Path = v
				return nil
			}},
			{Name: "files", Value: "TABLE", Most: ownBound, Help: "of a folder: for each of its files a line: how many lines of the definitions it has, and its path", set: keep(&table)},
			toggle("prune", "stop and delete what the path had defined and does not any more", &a.Prune),
			toggle("dry_run", "change nothing, and say what would be", &a.DryRun),
			toggle("restart", "restart what runs and does not follow its definition", &a.Restart),
		},
		check: func() (err error) {
			switch {
			case text == nil && a.Path != "":
				return errors.New("path: it says what definitions are of: give definitions:TEXT too")
			case text == nil && table != nil:
				return errors.New("files: it says what definitions are of: give definitions:TEXT too")
			case text == nil:
				return nil
			}
			a.Path = cmp.Or(a.Path, StandardInput)
			if table == nil {
				a.Files = []process.File{{Path: a.Path, Text: *text}}
				return nil
			}
			a.Files, err = divide(*text, *table)
			return err
		},
		do: func(ctx context.Context, m Manager) (result, error) {
			list, err := m.Apply(ctx, a)
			return applied{list, list, a.DryRun}, err
		},
	}
}

// divide gives each file of a table its lines.
func divide(text, table string) (files []process.File, err error) {
	for line := range strings.Lines(table) {
		count, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.Atoi(count)
		if err != nil || n < 0 || path == "" || len(path) > maxPath {
			return nil, fmt.Errorf("files: %s is not a number of lines, a blank and a path", process.Printable(line))
		}
		end := 0
		for range n {
			i := strings.IndexByte(text[end:], '\n')
			if i < 0 {
				return nil, fmt.Errorf("files: the definitions have fewer lines than it says")
			}
			end += i + 1
		}
		files = append(files, process.File{Path: path, Text: text[:end]})
		text = text[end:]
	}
	if text != "" {
		return nil, fmt.Errorf("files: the definitions have more lines than it says")
	}
	return files, nil
}

// ApplyAction is the action that asks for an application.
func ApplyAction(a process.Application) heroscript.Action {
	action := NewAction(applyVerb)
	add := func(key, value string) {
		action.Params = append(action.Params, heroscript.Param{Key: key, Value: value})
	}
	if a.Path != "" {
		var text, table strings.Builder
		for _, f := range a.Files {
			text.WriteString(f.Text)
			n := strings.Count(f.Text, "\n")
			if f.Text != "" && !strings.HasSuffix(f.Text, "\n") {
				text.WriteByte('\n')
				n++
			}
			fmt.Fprintf(&table, "%d %s\n", n, f.Path)
		}
		add("definitions", text.String())
		add("path", a.Path)
		add("files", table.String())
	}
	for _, flag := range []struct {
		key   string
		given bool
	}{{"prune", a.Prune}, {"dry_run", a.DryRun}, {"restart", a.Restart}} {
		if flag.given {
			add(flag.key, "true")
		}
	}
	return action
}

// applied is the result of apply.
type applied struct {
	told []process.Applied // are shown
	all  []process.Applied // are counted
	dry  bool
}

func (a applied) split() (result, []error) {
	var done []process.Applied
	var failed []error
	for _, one := range a.told {
		if one.Err != nil {
			failed = append(failed, one.Err)
		} else {
			done = append(done, one)
		}
	}
	return applied{done, a.all, a.dry}, failed
}

// fewUnchanged is how many processes that are as they are to be are told by name.
const fewUnchanged = 10

func (a applied) write(w io.Writer, s style) error {
	if s.json {
		return writeArray(w, a.told)
	}
	var g grid
	g.add("NAME", "WHAT", "WHY")
	few := a.count(process.ApplyUnchanged) <= fewUnchanged
	done, failed := a.split()
	for _, one := range done.(applied).told {
		if one.Action != process.ApplyUnchanged || few {
			g.add(one.Name, applyWords[one.Action].one, orDash(why(one, a.dry)))
		}
	}
	if err := g.told(w, s.width, applyYields, failed); err != nil {
		return err
	}
	_, err := io.WriteString(w, a.sum()+"\n")
	return err
}

// applyYields is what makes room in a narrow window.
var applyYields = []yield{{"WHY", 24}, {"NAME", 16}, {"WHY", 0}, {"NAME", 6}}

// applyWords are the actions for people, of one process and of several.
var applyWords = map[process.ApplyAction]struct{ one, several string }{
	process.ApplyNew:       {"new", "new"},
	process.ApplyChanged:   {"changed", "changed"},
	process.ApplyRestarted: {"restarted", "restarted"},
	process.ApplyWaits:     {"waits for a restart", "wait for a restart"},
	process.ApplyTaken:     {"taken over", "taken over"},
	process.ApplyDeleted:   {"deleted", "deleted"},
	process.ApplyUnchanged: {"unchanged", "unchanged"},
}

// applyOrder is the order in which they are summed up.
var applyOrder = []process.ApplyAction{process.ApplyNew, process.ApplyChanged, process.ApplyRestarted, process.ApplyWaits,
	process.ApplyTaken, process.ApplyDeleted, process.ApplyUnchanged}

func (a applied) count(action process.ApplyAction) (n int) {
	for _, one := range a.all {
		if one.Action == action && one.Err == nil {
			n++
		}
	}
	return n
}

// sum says how many there are of each.
func (a applied) sum() string {
	var parts []string
	for _, action := range applyOrder {
		switch n := a.count(action); {
		case n == 1:
			parts = append(parts, "1 "+applyWords[action].one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, applyWords[action].several))
		}
	}
	failed := 0
	for _, one := range a.all {
		if one.Err != nil {
			failed++
		}
	}
	if failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", failed))
	}
	text := strings.Join(parts, ", ")
	if text == "" {
		text = "no definitions, nothing to do"
	}
	if a.dry {
		text = "dry run, nothing was changed: " + text
	}
	return text
}

// why says what led to an action, or what came of it.
func why(a process.Applied, dry bool) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if len(a.Fields) > 0 {
		add("%s", strings.Join(a.Fields, ", "))
	}
	switch {
	case a.TakenFrom == "":
	case a.Action == process.ApplyDeleted:
		add("not in %s any more", definer(a.TakenFrom))
	default:
		add("%s had defined it", definer(a.TakenFrom))
	}
	switch {
	case a.Action == process.ApplyWaits:
		add("its tree does not follow %s: apply with restart, or restart %s", strings.Join(a.WaitsForRestart, ", "), a.Name)
	case dry:
	case a.Action == process.ApplyNew && a.PID != 0, a.Action == process.ApplyRestarted:
		add("run %d, pid %d", a.Run, a.PID)
	case a.Action == process.ApplyNew:
		add("%s", a.State)
	}
	return strings.Join(parts, "; ")
}
