package definitions

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// MaxFile is how many bytes a file of definitions may have.
const MaxFile = 1 << 20

// ending is that of files of definitions.
const ending = ".hero"

// Folder reads the files of a folder that belongs to this user alone.
//
// Errors: fs.ErrNotExist for the folder, *private.Error.
func Folder(dir string) (files []process.File, err error) {
	if err := private.CheckDir(dir); err != nil {
		return nil, err
	}
	if err := private.CheckBelow(dir); err != nil { // itself no link
		return nil, err
	}
	paths, err := Paths(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := private.ReadGiven(path, MaxFile)
		if errors.Is(err, fs.ErrNotExist) { // it was removed just now
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, process.File{Path: path, Text: string(text)})
	}
	return files, nil
}

// Paths are the files of definitions in a folder, by name. Hidden ones are those of
// editors.
func Paths(dir string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ending) && !strings.HasPrefix(name, ".") {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths, err
}
