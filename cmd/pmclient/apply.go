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

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/definitions"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// applyCommand has the definitions of files hold.
func applyCommand(ctx context.Context, conn connection, args []string, stdin io.Reader, stdout *output) error {
	command, _ := commands.Lookup("apply")
	action := verbs.NewAction(command.Verb.Name)
	f := quietFlags("apply")
	conn.register(f)
	path := new(string)
	for _, given := range command.Flags {
		if given.Name == commands.File.Name {
			f.Func(given.Name, "", onePath(path))
			continue
		}
		p := given.Param
		p.Name = strings.ReplaceAll(given.Name, "-", "_")
		f.Var(&param{Param: p, to: &action}, given.Name, "")
		if given.Name != p.Name {
			f.Var(&param{Param: p, to: &action}, p.Name, "")
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
	return carryOut(ctx, conn, command.Verb, action, stdout)
}

// onePath keeps the path that is given, once.
func onePath(path *string) func(string) error {
	return func(given string) error {
		switch {
		case given == "":
			return errors.New("a file, a folder or - is expected; leave -" + commands.File.Name + " away for the daemon's own folder")
		case *path != "":
			return errors.New("it is given twice: put the files into one folder")
		}
		*path = given
		return nil
	}
}

// readDefinitions reads a file, the files of a folder, or standard input.
func readDefinitions(ctx context.Context, path string, stdin io.Reader) (a process.Application, err error) {
	a.Path = path
	if path == verbs.StandardInput {
		text, err := readUntil(ctx, func() ([]byte, error) { return readFile(stdin, "standard input") })
		a.Files = []process.File{{Path: path, Text: string(text)}}
		return a, err
	}
	if a.Path, err = filepath.Abs(path); err != nil {
		return a, err
	}
	info, err := os.Stat(a.Path)
	paths := []string{a.Path}
	folder := err == nil && info.IsDir()
	if folder {
		paths, err = definitions.Paths(a.Path)
	}
	for _, one := range paths {
		if err != nil {
			break
		}
		var text []byte
		text, err = readUntil(ctx, func() ([]byte, error) { return openFile(one, folder) })
		a.Files = append(a.Files, process.File{Path: one, Text: string(text)})
	}
	var failed *fs.PathError
	if errors.As(err, &failed) && (failed.Op == "open" || failed.Op == "stat") {
		return a, usageError{err}
	}
	return a, err
}

// openFile reads a file. What stands in a folder must be a regular one: a FIFO there would be
// waited for.
func openFile(path string, regular bool) ([]byte, error) {
	if info, err := os.Stat(path); regular && err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is no regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readFile(file, path)
}

// readFile reads what may have no end.
func readFile(r io.Reader, name string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, definitions.MaxFile+1))
	if len(text) > definitions.MaxFile {
		return nil, fmt.Errorf("%s: it has more than %d KiB, and a file of definitions holds no more", name, definitions.MaxFile>>10)
	}
	return text, err
}
