package definitions

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Known is a process as it is.
type Known struct {
	Spec    process.Spec
	Source  string        // the path of the file that has defined it; empty: a command has
	Follows *process.Spec // what that which runs of it follows; nil: nothing runs
	Dir     string        // working directory without one in the spec
}

// Step is what has to be done about one process.
type Step struct {
	Name string
	Definition
	Action  process.ApplyAction
	Fields  []string // of the definition that change
	Waits   []string // and those that what runs does not follow
	Former  string   // who had defined it, as Known.Source
	IsTaken bool     // by somebody else than its file
}

// Options are the ones of an application.
type Options struct {
	Path           string
	Prune, Restart bool
}

// Plan is what has to be done for the definitions that are wanted to hold: a step for each
// of them and, with prune, for each process that is to go, by name.
func Plan(wanted []Definition, known map[string]Known, o Options) (steps []Step) {
	named := map[string]bool{}
	for _, d := range wanted {
		named[d.Spec.Name] = true
		if is, ok := known[d.Spec.Name]; ok {
			steps = append(steps, compare(d, is, o.Restart))
		} else {
			steps = append(steps, Step{Name: d.Spec.Name, Definition: d, Action: process.ApplyNew})
		}
	}
	if o.Prune {
		for _, name := range slices.Sorted(maps.Keys(known)) {
			if is := known[name]; !named[name] && IsOf(is.Source, o.Path) {
				steps = append(steps, Step{Name: name, Action: process.ApplyDeleted, Former: is.Source})
			}
		}
	}
	slices.SortFunc(steps, func(a, b Step) int { return strings.Compare(a.Name, b.Name) })
	return steps
}

// IsOf reports whether source is the file at path, or directly in the folder at path.
func IsOf(source, path string) bool {
	return source != "" && (source == path || filepath.IsAbs(source) && filepath.Dir(source) == path)
}

// compare is the step for a process that is there.
func compare(d Definition, is Known, restart bool) Step {
	step := Step{Name: d.Spec.Name, Definition: d, Former: is.Source, IsTaken: is.Source != d.Path}
	for _, f := range process.Differences(is.Spec, d.Spec) {
		step.Fields = append(step.Fields, f.Name)
	}
	if is.Spec.JobID != d.Spec.JobID {
		step.Fields = append(step.Fields, "jobid")
	}
	if is.Follows != nil {
		next := d.Spec
		if next.Dir == "" {
			next.Dir = is.Dir
		}
		for _, f := range process.Differences(*is.Follows, next) {
			if !f.Live {
				step.Waits = append(step.Waits, f.Name)
			}
		}
	}
	switch {
	case len(step.Waits) > 0 && restart:
		step.Action = process.ApplyRestarted
	case len(step.Waits) > 0:
		step.Action = process.ApplyWaits
	case len(step.Fields) > 0:
		step.Action = process.ApplyChanged
	case step.IsTaken:
		step.Action = process.ApplyTaken
	default:
		step.Action = process.ApplyUnchanged
	}
	return step
}

// CheckNeeds says who needs a process that the steps delete; nil: nobody.
func CheckNeeds(steps []Step, known map[string]Known) error {
	const refusal = "process '%s' needs '%s', which is not defined any more and would be deleted: define it, or do not prune"
	going, planned := map[string]bool{}, map[string]bool{}
	for _, step := range steps {
		planned[step.Name] = true
		going[step.Name] = step.Action == process.ApplyDeleted
	}
	for _, step := range steps {
		for _, need := range step.Spec.AllNeeds() {
			if going[need.Name] {
				return step.Errorf(process.CodeNeeded, refusal, step.Name, need.Name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) { // those of others
		is := known[name]
		for _, need := range is.Spec.AllNeeds() {
			if going[need.Name] && !planned[name] {
				return process.Errorf(process.CodeNeeded, refusal, name, need.Name)
			}
		}
	}
	return nil
}
