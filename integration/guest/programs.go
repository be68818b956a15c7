package main

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
)

// programs of Debian's are those that busybox lacks, or lacks options of, and the
// shell: busybox's own takes its own programs before those on PATH, and runs them
// in processes that are still the shell's. Their packages are in guestPackages.
var programs = []string{
	"bin/dash", "bin/ls", "bin/nc.openbsd", "bin/true", // true also by another name
	"usr/bin/env", "usr/bin/nohup", "usr/bin/nice", "usr/bin/seq",
	"usr/bin/chrt", "usr/bin/flock", "usr/bin/pgrep", "usr/bin/pkill",
}

var guestPackages = []string{"coreutils", "dash", "netcat-openbsd", "procps", "tzdata", "util-linux"}

// libraryDirs are where Debian's loader looks, below the root.
var libraryDirs = []string{"lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"}

const loader = "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"

// withLibraries adds to programs below root the libraries that they need.
func withLibraries(root string, programs []string) ([]string, error) {
	var (
		list = append([]string{loader}, programs...)
		seen = map[string]bool{filepath.Base(loader): true}
	)
	for i := 0; i < len(list); i++ { // the list grows
		f, err := elf.Open(filepath.Join(root, list[i]))
		if err != nil {
			return nil, err
		}
		needs, err := f.ImportedLibraries()
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", list[i], err)
		}
		for _, name := range needs {
			if seen[name] {
				continue
			}
			seen[name] = true
			path, err := findLibrary(root, name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", list[i], err)
			}
			list = append(list, path)
		}
	}
	return list, nil
}

func findLibrary(root, name string) (string, error) {
	for _, dir := range libraryDirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(filepath.Join(root, path)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no library %s below %s", name, root)
}
