package definitions

import (
	"strings"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Definition is a definition, and where it stands.
type Definition struct {
	Spec process.Spec
	Path string
	Pos  heroscript.Pos
}

// Errorf is an error about it.
func (d Definition) Errorf(code process.Code, format string, args ...any) error {
	return process.Errorf(code, "%s: %v: %s", SourceName(d.Path), d.Pos, process.Errorf(code, format, args...).Message)
}

// SourceName is a path for people.
func SourceName(path string) string {
	if path == verbs.StandardInput {
		return "standard input"
	}
	return path
}

// Parse reads files. A name may be defined once in all of them. The error says file, line
// and column. It is of the first fault.
func Parse(files []process.File) (all []Definition, err error) {
	seen := map[string]Definition{}
	for _, f := range files {
		script, err := heroscript.Parse(f.Text)
		if err != nil {
			return nil, process.Errorf(process.CodeSyntax, "%s: %v", SourceName(f.Path), err)
		}
		specs, err := verbs.ReadDefinitions(script)
		if err != nil {
			return nil, process.Errorf(process.CodeInvalid, "%s: %v", SourceName(f.Path), err)
		}
		for i, spec := range specs {
			d := Definition{spec, f.Path, script[i].Pos}
			if first, twice := seen[spec.Name]; twice {
				return nil, d.Errorf(process.CodeInvalid, "process '%s' is defined already at %s: %v: take one of them out", spec.Name, SourceName(first.Path), first.Pos)
			}
			seen[spec.Name] = d
			all = append(all, d)
		}
	}
	return all, nil
}

// Text is a definition as an action that Parse reads back, a parameter a line.
func Text(spec process.Spec) string {
	var b strings.Builder
	a := verbs.DefineAction(spec)
	b.WriteString("!!" + a.Verb())
	for i, p := range a.Params {
		between := "\n    "
		if i == 0 { // the name
			between = " "
		}
		b.WriteString(between + p.Key + ":" + heroscript.Quote(p.Value))
	}
	b.WriteByte('\n')
	return b.String()
}
