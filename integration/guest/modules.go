package main

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// wantedModules are for the disks of a guest, and for tests that mount. What a
// kernel has built in is no module there.
var wantedModules = []string{"virtio_pci", "virtio_blk", "ext4", "overlay", "loop"}

type module struct {
	name  string
	image []byte
}

// loadModules reads the wanted modules below a kernel's directory and those that
// they depend on, in the order in which they can be loaded. Package files come
// without modules.dep, so the modules themselves are asked.
func loadModules(ctx context.Context, dir, busybox string) ([]module, error) {
	paths := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if name, _, ok := strings.Cut(d.Name(), ".ko"); ok {
			paths[strings.ReplaceAll(name, "-", "_")] = path
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var (
		list []module
		seen = map[string]bool{}
		add  func(name string) error
	)
	add = func(name string) error {
		name = strings.ReplaceAll(name, "-", "_")
		path, ok := paths[name]
		if seen[name] || !ok {
			return nil
		}
		seen[name] = true
		read := func() ([]byte, error) { return os.ReadFile(path) }
		if strings.HasSuffix(path, ".xz") {
			read = func() ([]byte, error) { return unxz(ctx, busybox, path) }
		}
		image, err := read()
		if err != nil {
			return err
		}
		needs, err := moduleDepends(image)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, n := range needs {
			if err := add(n); err != nil {
				return err
			}
		}
		list = append(list, module{name, image})
		return nil
	}
	for _, name := range wantedModules {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// moduleDepends reads the "depends" line in a kernel module's .modinfo section.
func moduleDepends(image []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no .modinfo section")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	return parseDepends(info), nil
}

// parseDepends takes the names out of a .modinfo section: NUL-ended lines.
func parseDepends(info []byte) []string {
	for line := range bytes.SplitSeq(info, []byte{0}) {
		if names, ok := bytes.CutPrefix(line, []byte("depends=")); ok {
			return strings.FieldsFunc(string(names), func(r rune) bool { return r == ',' })
		}
	}
	return nil
}
