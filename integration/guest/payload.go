package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// payload is what all guests of a run are given.
type payload struct {
	tar      string   // the file with it
	packages []string // import paths, in the order in which they are tested
	broken   []string // those that do not compile
}

// file is one of the host that goes into the guest.
type file struct{ name, path string }

func parseFile(s string) (file, error) {
	name, path, ok := strings.Cut(s, "=")
	if !ok || name == "" || path == "" {
		return file{}, fmt.Errorf("%q is not of the form name=path", s)
	}
	if !strings.Contains(name, "/") {
		name = "/usr/local/bin/" + name
	}
	return file{name, path}, nil
}

type goPackage struct {
	Dir, ImportPath           string
	TestGoFiles, XTestGoFiles []string
	Error                     *struct{ Err string }
}

// makePayload compiles the tests and packs them, below dir.
//
//	tests/packages    lines of number and import path
//	tests/arguments   sets the arguments of the shell that reads it
//	tests/0/test      the binary, and testdata beside it
func makePayload(ctx context.Context, dir string, o options, stderr io.Writer) (payload, error) {
	p := payload{tar: filepath.Join(dir, "tests.tar")}
	packages, err := listPackages(ctx, o.packages)
	if err != nil {
		return p, err
	}
	f, err := os.Create(p.tar)
	if err != nil {
		return p, err
	}
	defer f.Close()
	w := tarWriter{tar.NewWriter(f)}
	var list strings.Builder
	for _, pkg := range packages {
		if len(pkg.TestGoFiles)+len(pkg.XTestGoFiles) == 0 && pkg.Error == nil {
			continue
		}
		number := strconv.Itoa(len(p.packages))
		binary := filepath.Join(dir, number+".test")
		if err := compileTest(ctx, pkg.ImportPath, binary, stderr); err != nil {
			if ctx.Err() != nil {
				return p, context.Cause(ctx)
			}
			p.broken = append(p.broken, pkg.ImportPath) // the compiler has said why
			continue
		}
		if err := w.tree(path.Join("tests", number, "test"), binary); err != nil {
			return p, err
		}
		if err := os.Remove(binary); err != nil {
			return p, err
		}
		err := w.tree(path.Join("tests", number, "testdata"), filepath.Join(pkg.Dir, "testdata"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
		fmt.Fprintln(&list, number, pkg.ImportPath)
		p.packages = append(p.packages, pkg.ImportPath)
	}
	if len(p.packages)+len(p.broken) == 0 {
		return p, errors.New("no tests in " + strings.Join(o.packages, " "))
	}
	for _, f := range o.files {
		if err := w.tree(strings.TrimPrefix(path.Clean(f.name), "/"), f.path); err != nil {
			return p, err
		}
	}
	return p, errors.Join(
		w.text("tests/packages", list.String()),
		w.text("tests/arguments", "set -- "+quote(append([]string{"-test.v"}, o.args...))+"\n"),
		w.Close(), f.Close())
}

func listPackages(ctx context.Context, patterns []string) ([]goPackage, error) {
	out, err := output(ctx, static, "go", append([]string{"list", "-e", "-json=Dir,ImportPath,TestGoFiles,XTestGoFiles,Error"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	var list []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		list = append(list, p)
	}
}

// static makes binaries that need nothing in the guest.
var static = []string{"CGO_ENABLED=0"}

func compileTest(ctx context.Context, pkg, binary string, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, pkg)
	cmd.Env = append(os.Environ(), static...)
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go test -c %s: %w", pkg, err)
	}
	return nil
}

// quote makes one shell word of each argument.
func quote(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

type tarWriter struct{ *tar.Writer }

// tree adds a file, or a directory with all in it, under another name. Owners
// are not taken over: all is root's.
func (w tarWriter) tree(name, from string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		header.Name = path.Join(name, filepath.ToSlash(rel))
		header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
		if err := w.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
}

func (w tarWriter) text(name, text string) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return err
}

// unpackResults unpacks the disk that a guest has written its results to. An
// empty disk holds none. Nothing is written outside of dir.
func unpackResults(disk, dir string) error {
	in, err := os.Open(disk)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("results: %w", err)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(path.Clean(h.Name), 0o755)
		case tar.TypeReg:
			err = writeFile(root, path.Clean(h.Name), r)
		}
		if err != nil {
			return fmt.Errorf("results: %w", err)
		}
	}
}

// readResult is one file of those on the disk; nil if it is not there.
func readResult(disk, name string) []byte {
	in, err := os.Open(disk)
	if err != nil {
		return nil
	}
	defer in.Close()
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err != nil {
			return nil
		}
		if path.Clean(h.Name) == name {
			data, _ := io.ReadAll(r) // as far as it was written
			return data
		}
	}
}

func writeFile(root *os.Root, name string, from io.Reader) error {
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
