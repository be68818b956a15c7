// Command man writes the man pages and the completions of shells.
//
// What is in a table is taken from there: the daemon's flags (package config), the client's
// commands (package commands), the verbs and the fields of a definition (packages verbs and
// process), the language (the comment of package heroscript). What no table has stands in the
// templates in pages, in mdoc(7).
//
//	SOURCE_DATE_EPOCH=1769817600 go run ./packaging/man bin
//
// writes bin/man/pmclient.1, bin/man/heroscript.5, bin/man/processmanager.8, and
// bin/completions with a directory for each shell. The pages show the day of
// SOURCE_DATE_EPOCH, in seconds, or today.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/freeflowuniverse/processmanager/packaging/completions"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "man: one directory is expected")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

// write writes all files below a directory. epoch is the time of the pages; empty: now.
func write(dir, epoch string) error {
	day := time.Now()
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH=%q: a number of seconds is expected", epoch)
		}
		day = time.Unix(seconds, 0)
	}
	files, err := pages(day)
	if err != nil {
		return err
	}
	for path, text := range completions.Files() {
		files["completions/"+path] = text
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		path, text := filepath.Join(dir, path), files[path]
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
