package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/definitions"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const applyVerb = "process.apply"

// fileFlag is the flag of apply in whose place the wire has the text itself.
const fileFlag = "f"

const fileHelp = "a file of definitions, a folder of *.hero files, or - for standard input; without it, the daemon's own folder"

// applyParams are the parameters of apply that are flags of the command.
func applyParams(v *verbs.Verb) (params []verbs.Param) {
	for _, p := range v.AllParams() {
		switch p.Name {
		case "definitions", "files", "path":
		default:
			p.Name = strings.ReplaceAll(p.Name, "_", "-")
			params = append(params, p)
		}
	}
	return params
}

// applyCommand has the definitions of files hold.
func applyCommand(ctx context.Context, conn connection, args []string, stdin io.Reader, stdout *output) error {
	verb, _ := verbs.Lookup(applyVerb)
	action := verbs.NewAction(applyVerb)
	f := quietFlags("apply")
	conn.register(f)
	path := f.String(fileFlag, "", fileHelp)
	for _, p := range applyParams(verb) {
		flag := p.Name
		p.Name = strings.ReplaceAll(flag, "-", "_")
		f.Var(&param{Param: p, to: &action}, flag, p.Help)
		if flag != p.Name {
			f.Var(&param{Param: p, to: &action}, p.Name, p.Help)
		}
	}
	words, err := parseWords(f, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usageOf("apply", "apply takes no name, %s was given: a file or a folder stands behind -f", process.Printable(words[0]))
	}
	if *path != "" {
		files, err := readDefinitions(ctx, *path, stdin)
		if err != nil {
			return err
		}
		if _, err := definitions.Parse(files.Files); err != nil { // the wire takes no text that is none
			return fmt.Errorf("%w; nothing was changed", err)
		}
		action.Params = append(verbs.ApplyAction(files).Params, action.Params...)
	}
	if err := verbs.Check(action); err != nil {
		return usageOf("apply", "%w", err)
	}
	return carryOut(ctx, conn, verb, action, stdout)
}

// readDefinitions reads a file, the files of a folder, or standard input.
func readDefinitions(ctx context.Context, path string, stdin io.Reader) (a process.Application, err error) {
	a.Path = path
	if path == verbs.StandardInput {
		text, err := readUntil(ctx, func() ([]byte, error) { return io.ReadAll(stdin) })
		a.Files = []process.File{{Path: path, Text: string(text)}}
		return a, err
	}
	if a.Path, err = filepath.Abs(path); err != nil {
		return a, err
	}
	info, err := os.Stat(a.Path)
	paths := []string{a.Path}
	if err == nil && info.IsDir() {
		paths, err = definitions.Paths(a.Path)
	}
	for _, one := range paths {
		if err != nil {
			break
		}
		var text []byte
		text, err = readUntil(ctx, func() ([]byte, error) { return os.ReadFile(one) })
		a.Files = append(a.Files, process.File{Path: one, Text: string(text)})
	}
	var failed *fs.PathError
	if errors.As(err, &failed) && (failed.Op == "open" || failed.Op == "stat") {
		return a, usageError{err}
	}
	return a, err
}
