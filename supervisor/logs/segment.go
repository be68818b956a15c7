package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// segment is one file of a log, by the offset of its first byte.
type segment struct {
	dir    string
	base   int64
	plain  bool  // there is a .log
	packed bool  // there is a .log.zst
	disk   int64 // what its files have on the disk; 0: not known
}

const (
	plainSuffix  = ".log"
	packedSuffix = ".log.zst"
	indexSuffix  = ".idx"
	unfinished   = ".tmp"
	currentLink  = "current"
)

func (s segment) path(suffix string) string {
	return fmt.Sprintf("%s/%020d%s", s.dir, s.base, suffix)
}

// segments lists the files in dir, the oldest first; none if there is no dir.
func segments(dir string) ([]segment, error) {
	names, err := readNames(dir)
	if errors.Is(err, fs.ErrNotExist) { // or it went away just now
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := map[int64]segment{}
	for _, name := range names {
		stem, suffix, _ := strings.Cut(name, ".")
		base, err := strconv.ParseInt(stem, 10, 64)
		if err != nil || base < 0 || len(stem) != 20 {
			continue
		}
		s := found[base]
		s.dir, s.base = dir, base
		switch "." + suffix {
		case plainSuffix:
			s.plain = true
		case packedSuffix:
			s.packed = true
		default:
			continue
		}
		found[base] = s
	}
	list := make([]segment, 0, len(found))
	for _, s := range found {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b segment) int {
		if a.base < b.base {
			return -1
		}
		return 1
	})
	return list, nil
}

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// remove deletes all files of s.
func (s segment) remove() error {
	var errs error
	for _, suffix := range []string{plainSuffix, packedSuffix, packedSuffix + unfinished, indexSuffix} {
		if err := os.Remove(s.path(suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = errors.Join(errs, err)
		}
	}
	return errs
}

// onDisk is how many bytes the files of s have.
func (s segment) onDisk() (n int64) {
	for _, suffix := range []string{plainSuffix, packedSuffix, indexSuffix} {
		if info, err := os.Stat(s.path(suffix)); err == nil {
			n += info.Size()
		}
	}
	return n
}

// content reads the bytes of a segment, compressed or not.
type content interface {
	ReadAt(p []byte, off int64) (int, error)
	Size() (int64, error)
	Close() error
}

type plainFile struct{ *os.File }

func (f plainFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// open opens the bytes of s, whichever form they have by now.
func (s segment) open() (content, error) {
	f, err := os.Open(s.path(plainSuffix))
	if err == nil {
		return plainFile{f}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return openArchive(s.path(packedSuffix))
}

// size is how many bytes were written to s.
func (s segment) size() (int64, error) {
	c, err := s.open()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.Size()
}

// withIndex calls f with the index.
func (s segment) withIndex(f func(index) error) error {
	file, err := os.Open(s.path(indexSuffix))
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return f(index{file, int(info.Size() / entrySize)})
}

// lastEntry is the last one of the index; none if there is none.
func (s segment) lastEntry() (last entry) {
	s.withIndex(func(x index) error {
		if x.n > 0 {
			last = x.at(x.n - 1)
		}
		return nil
	})
	return last
}
