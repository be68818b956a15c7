package private

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Error is a file or a directory that others can change.
type Error struct {
	Path    string
	Problem string // what is wrong with it
	Mend    string // what mends it
}

func (e *Error) Error() string { return e.Path + " " + e.Problem + ": " + e.Mend }

// CheckDir makes sure that path is a private directory.
func CheckDir(path string) error {
	real, info, err := resolve(path)
	if err != nil {
		return err
	}
	return checkOwn(real, info, fs.ModeDir)
}

// MakeDir is CheckDir for a directory that is made if it is missing, with those above
// it. It says whether it was.
func MakeDir(path string) (made bool, err error) {
	switch err := CheckDir(path); {
	case err == nil:
		return false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return false, err
	}
	return true, CheckDir(path)
}

// CheckParent makes sure that nobody else can put another file in the place of one in
// the directory path that belongs to this user.
func CheckParent(path string) error {
	real, info, err := resolve(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	return checkOnTheWay(real, info)
}

// CheckUpTo is CheckParent for the directory path, or the nearest one above it that is
// there, with those above it up to top. Those above top it leaves out.
func CheckUpTo(top, path string) error {
	for {
		if info, err := os.Lstat(path); err == nil {
			if err := checkOnTheWay(path, info); err != nil {
				return err
			}
		}
		if path == top || path == "/" {
			return nil
		}
		path = filepath.Dir(path)
	}
}

// CheckBelow makes sure that path, which is directly below a private directory, is a
// directory of this user, and no link to one.
func CheckBelow(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	return checkOwn(path, info, fs.ModeDir)
}

// OpenFile opens, or makes with mode 0600, a file of this user that is directly below
// a private directory. A link is not followed, and nothing is truncated before it is
// known whose the file is. Whoever could read it can no more.
func OpenFile(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag&^os.O_TRUNC|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, &Error{path, "is a link", "links are not followed there; move the file itself to that place"}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = checkOwn(path, info, 0)
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		f.Chmod(0o600) // on a disk that cannot be written to it stays as it is
	}
	if err == nil && flag&os.O_TRUNC != 0 {
		err = f.Truncate(0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ReadFile is what is in a file that OpenFile opens.
func ReadFile(path string) ([]byte, error) {
	f, err := OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// ReadGiven is what is in a file of this user that is directly below a private directory,
// and that nobody else can write to. It is left as it is, so others may read it. A link is
// not followed. One that has more than most bytes is an [*Error].
func ReadGiven(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, &Error{path, "is a link", "links are not followed there; move the file itself to that place"}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = checkOwn(path, info, 0)
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = &Error{path, fmt.Sprintf("has more than %d bytes", most), "divide it"}
	}
	return data, err
}

// maxSecret is more than any secret has.
const maxSecret = 64 << 10

// ReadSecret is the first line of a file that only this user or root can have written.
// The file may be one of this process's descriptors, by a name such as /dev/stdin.
func ReadSecret(path string) ([]byte, error) {
	f, err := openTrusted(path, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // an editor's byte order mark
	line, _, _ := bytes.Cut(data, []byte("\n"))
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
		return nil, fmt.Errorf("the secret in %s is empty", path)
	}
	return line, nil
}

// ReadTrusted is what is in a file, wherever it is, that only this user or root can have
// written, or in one of this process's descriptors. Others may read it. One that has more
// than most bytes is an [*Error].
func ReadTrusted(path string, most int64) ([]byte, error) {
	f, err := openTrusted(path, syscall.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, &Error{path, "is a directory", "name a file in it"}
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = &Error{path, fmt.Sprintf("has more than %d bytes", most), "divide it"}
	}
	return data, err
}

// openTrusted opens a file that only this user or root can have written, or a descriptor.
func openTrusted(path string, flag int) (*os.File, error) {
	real, info, err := resolve(path)
	if err != nil {
		return nil, err
	}
	if !isDescriptor(real) {
		if err := checkTrusted(real, info); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(real, os.O_RDONLY|flag, 0)
}

// IsOurs reports whether what info tells of belongs to this user or to root.
func IsOurs(info fs.FileInfo) bool {
	uid := owner(info)
	return uid == 0 || uid == os.Geteuid()
}

// resolve is path without links, and what is there. It makes sure that nobody else can
// lead it to another place.
func resolve(path string) (real string, info fs.FileInfo, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}
	rest := strings.Split(path, "/")
	real = "/"
	if info, err = os.Lstat(real); err != nil {
		return "", nil, err
	}
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" {
			continue
		}
		if !info.IsDir() {
			return "", nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
		}
		if err := checkOnTheWay(real, info); err != nil {
			return "", nil, err
		}
		next := filepath.Join(real, name)
		if info, err = os.Lstat(next); err != nil {
			return "", nil, err
		}
		switch {
		case info.Mode().Type() != fs.ModeSymlink:
			real = next
			continue
		case isDescriptor(next): // such a link leads to what is open, not to a name
			info, err = os.Stat(next)
			return next, info, err
		case !IsOurs(info):
			return "", nil, &Error{next, "is a link of " + nameOf(info), "remove it"}
		}
		if links++; links > 40 {
			return "", nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", nil, err
		}
		if filepath.IsAbs(target) {
			real = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
		if info, err = os.Lstat(real); err != nil {
			return "", nil, err
		}
	}
	return real, info, nil
}

// isDescriptor reports whether path names an open file of this process.
func isDescriptor(path string) bool {
	return filepath.Dir(path) == "/proc/"+strconv.Itoa(os.Getpid())+"/fd"
}

// checkOwn is for what the daemon writes to: a directory, or a file with type 0.
func checkOwn(path string, info fs.FileInfo, kind fs.FileMode) error {
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		return &Error{path, "is a link", "links are not followed there; remove it"}
	case info.Mode().Type() != kind && kind == fs.ModeDir:
		return &Error{path, "is no directory", "remove it"}
	case info.Mode().Type() != kind:
		return &Error{path, "is no file", "remove it"}
	case owner(info) != os.Geteuid():
		mend := fmt.Sprintf("if what is in it can be trusted, chown -R %d %s", os.Geteuid(), path)
		return &Error{path, "belongs to " + nameOf(info), mend}
	}
	return checkMode(path, info)
}

// checkTrusted is for what the daemon only reads.
func checkTrusted(path string, info fs.FileInfo) error {
	if !IsOurs(info) {
		mend := fmt.Sprintf("if what is in it can be trusted, chown %d %s", os.Geteuid(), path)
		return &Error{path, "belongs to " + nameOf(info), mend}
	}
	return checkMode(path, info)
}

// checkOnTheWay is for a directory above.
func checkOnTheWay(path string, info fs.FileInfo) error {
	switch {
	case !IsOurs(info) && !isUnmapped(owner(info)):
		return &Error{path, "belongs to " + nameOf(info) + ", who can exchange what is in it", fmt.Sprintf("chown %d %s", os.Geteuid(), path)}
	case info.Mode()&fs.ModeSticky != 0:
		return nil
	case info.Mode().Perm()&0o022 == 0o020 && hasOwnGroup(info):
		return nil
	}
	return checkMode(path, info)
}

func checkMode(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return &Error{path, fmt.Sprintf("can be written to by others (mode %04o)", mode), "chmod go-w " + path}
	}
	return nil
}

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// hasOwnGroup reports whether the group is the one that belongs to the user alone, as
// useradd makes it, with the same number. Such users often have umask 002.
func hasOwnGroup(info fs.FileInfo) bool {
	st := info.Sys().(*syscall.Stat_t)
	return st.Uid != 0 && st.Gid == st.Uid && int(st.Uid) == os.Geteuid()
}

// nameOf is the owner in words.
func nameOf(info fs.FileInfo) string {
	id := strconv.Itoa(owner(info))
	if u, err := user.LookupId(id); err == nil {
		return "user " + u.Username
	}
	return "user " + id
}

// unmappedUID is how the kernel shows a user that a user namespace does not know.
const unmappedUID = 65534

// isUnmapped reports whether uid stands for users outside this user namespace, such
// as the host's root.
func isUnmapped(uid int) bool { return uid == unmappedUID && namespaceHides() }

var namespaceHides = sync.OnceValue(func() bool {
	data, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	return !maps(string(data), unmappedUID)
})

// maps reports whether a uid_map has the user uid.
func maps(uidMap string, uid int) bool {
	for line := range strings.Lines(uidMap) {
		var first, outside, count int
		if n, _ := fmt.Sscan(line, &first, &outside, &count); n == 3 && uid >= first && uid-first < count {
			return true
		}
	}
	return false
}
