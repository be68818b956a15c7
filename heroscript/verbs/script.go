package verbs

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// RunScript carries out every action of a script, one after another, and writes the answers
// to w, for a window of width columns. Nothing is carried out when the script does not parse
// or an action could not be: the error says line and column. It stops at the first action
// that fails; the error says its line. What an action needs that is defined further down is
// defined first.
func RunScript(ctx context.Context, m Manager, text string, w io.Writer, width int) error {
	script, err := heroscript.Parse(text)
	if err != nil {
		return process.Errorf(process.CodeSyntax, "%v; nothing was carried out", err)
	}
	for _, a := range script {
		if err := Check(a); err != nil {
			return fmt.Errorf("%w; nothing was carried out", err)
		}
	}
	if err := defineNeeds(ctx, m, script); err != nil {
		return fmt.Errorf("%w; nothing was carried out", err)
	}
	for i, a := range script {
		answer := Run(ctx, m, a)
		answer.Width = width
		failed := answer.Err
		if comes, ok := answer.body.(stream); ok && failed == nil {
			if failed = comes.send(w, style{json: answer.JSON}); comes.follows() && ctx.Err() != nil {
				failed = nil
			}
		} else if failed == nil {
			if err := answer.Write(w); err != nil {
				return err
			}
			failed = answer.firstFailure()
		}
		if failed != nil {
			return fmt.Errorf("line %d: %s: %w; %d of %d actions were carried out", a.Pos.Line, a.Verb(), failed, i, len(script))
		}
	}
	return nil
}

func (a Answer) firstFailure() error {
	if body, ok := a.body.(partial); ok {
		if _, failed := body.split(); len(failed) > 0 {
			return failed[0]
		}
	}
	return nil
}

// scripted is a definition in a script.
type scripted struct {
	heroscript.Action // that defines it, and starts nothing
	at                int
	name              string
	needs             []process.Need
	before            []string // all that come before it, by needs and after
}

// defineNeeds defines what stands further down in a script than another one that needs it.
func defineNeeds(ctx context.Context, m Manager, script []heroscript.Action) error {
	all := definitionsIn(script)
	there := func(name string) bool {
		known, err := m.Show(ctx, process.Selection{name}, process.Brief)
		return err == nil && len(known) == 1 && known[0].Err == nil
	}
	for _, d := range all {
		for _, need := range d.needs {
			if !slices.ContainsFunc(all, func(other scripted) bool { return other.name == need.Name }) && !there(need.Name) {
				return at(d.Pos, "needs: there is no process '%s', neither in the daemon nor in the script", need.Name)
			}
		}
	}
	if path := cycleIn(all); path != nil && !slices.ContainsFunc(path, there) {
		i := slices.IndexFunc(all, func(d scripted) bool { return d.name == path[0] })
		return at(all[i].Pos, "needs: a cycle, in which each comes behind the next: %s", strings.Join(path, " -> "))
	}
	for _, d := range neededLater(all) {
		if there(d.name) {
			continue // as it is it will do, until its turn
		}
		if err := Run(ctx, m, d.Action).Err; err != nil {
			return fmt.Errorf("line %d: %s: %w", d.Pos.Line, d.Verb(), err)
		}
	}
	return nil
}

// definitionsIn are the definitions of a script, of each name the first.
func definitionsIn(script []heroscript.Action) (all []scripted) {
	seen := map[string]bool{}
	for i, a := range script {
		if spec, define, ok := definitionIn(a); ok && !seen[spec.Name] {
			seen[spec.Name] = true
			all = append(all, scripted{define, i, spec.Name, spec.AllNeeds(), spec.Before()})
		}
	}
	return all
}

// cycleIn is a way from one definition back to itself, with its name at both ends; nil: there
// is none.
func cycleIn(all []scripted) (path []string) {
	before := map[string][]string{}
	for _, d := range all {
		before[d.name] = d.before
	}
	done := map[string]bool{}
	var visit func(name string) bool
	visit = func(name string) bool {
		if i := slices.Index(path, name); i >= 0 {
			path = append(path[i:], name)
			return true
		}
		if done[name] {
			return false
		}
		path = append(path, name)
		if slices.ContainsFunc(before[name], visit) {
			return true
		}
		path, done[name] = path[:len(path)-1], true
		return false
	}
	for _, d := range all {
		if visit(d.name) {
			return path
		}
	}
	return nil
}

// neededLater are the definitions that must come first, each behind those that it needs.
func neededLater(all []scripted) (list []scripted) {
	defined := map[string]scripted{}
	for _, d := range all {
		defined[d.name] = d
	}
	seen := map[string]bool{}
	var visit func(name string, at int)
	visit = func(name string, at int) {
		d, ok := defined[name]
		if !ok || d.at <= at || seen[name] {
			return
		}
		seen[name] = true
		for _, need := range d.needs {
			visit(need.Name, at)
		}
		list = append(list, d)
	}
	for _, d := range all {
		for _, need := range d.needs {
			visit(need.Name, d.at)
		}
	}
	return list
}

// definitionIn is the definition that an action of process.define or process.start holds, and
// the action that defines it and starts nothing.
func definitionIn(a heroscript.Action) (spec process.Spec, define heroscript.Action, ok bool) {
	v, _ := Lookup(a.Verb())
	if _, command := a.Get("command"); v == nil || v.Name != "process.start" && v.Name != defineVerb || !command {
		return spec, define, false
	}
	define = heroscript.Action{Actor: "process", Name: "define", Pos: a.Pos}
	whole, _ := Lookup(defineVerb)
	for _, p := range a.Params {
		if whole.Takes(p.Key) {
			define.Params = append(define.Params, p)
		}
	}
	specs, err := ReadDefinitions(heroscript.Script{define})
	if err != nil {
		return spec, define, false
	}
	return specs[0], define, true
}
