package private

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const nobody = 65534

// asRoot skips what takes a file that belongs to somebody else.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
}

// refused fails the test unless err says all of want.
func refused(t *testing.T, what string, err error, want ...string) {
	t.Helper()
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Errorf("%s: got %v", what, err)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %q is not in: %v", what, w, err)
		}
	}
}

func mkdir(t *testing.T, path string, mode fs.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestADirectoryIsMadeForThisUserAlone(t *testing.T) {
	dir := t.TempDir()
	if made, err := MakeDir(dir + "/a/b"); !made || err != nil {
		t.Errorf("%v, %v", made, err)
	}
	for _, path := range []string{dir + "/a", dir + "/a/b"} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if made, err := MakeDir(dir + "/a/b"); made || err != nil {
		t.Errorf("again: %v, %v", made, err)
	}
	os.WriteFile(dir+"/file", nil, 0o600)
	refused(t, "a file", CheckDir(dir+"/file"), "is no directory")
	if err := CheckDir(dir + "/file/below"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
	if err := CheckDir(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

func TestWhatOthersCanWriteIsRefused(t *testing.T) {
	dir := t.TempDir()
	for _, mode := range []fs.FileMode{0o770, 0o707, 0o777, 0o777 | fs.ModeSticky, 0o720} {
		mkdir(t, dir+"/d", mode)
		refused(t, mode.String(), CheckDir(dir+"/d"), dir+"/d", "can be written to by others", "chmod go-w "+dir+"/d")
		if err := CheckParent(dir + "/d"); (err == nil) != (mode&fs.ModeSticky != 0) && mode != 0o770 && mode != 0o720 {
			t.Errorf("%v, as a parent: %v", mode, err)
		}
	}
	mkdir(t, dir+"/d", 0o777)
	_, err := MakeDir(dir + "/d/e")
	refused(t, "the directory above", err, "chmod go-w "+dir+"/d")
	if _, err := os.Stat(dir + "/d/e"); err == nil {
		t.Error("it was made all the same")
	}
	mkdir(t, dir+"/d", 0o777|fs.ModeSticky)
	if _, err := MakeDir(dir + "/d/e"); err != nil {
		t.Errorf("below a sticky one: %v", err)
	}
	for _, mode := range []fs.FileMode{0o700, 0o755, 0o711} {
		if err := CheckDir(mkdir(t, dir+"/ok", mode)); err != nil {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

func TestWhatBelongsToOthersIsRefused(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	mkdir(t, dir+"/d/e", 0o755)
	os.Chown(dir+"/d/e", nobody, nobody)
	refused(t, "a directory", CheckDir(dir+"/d/e"), "belongs to user nobody", "chown -R 0 "+dir+"/d/e")
	refused(t, "a parent", CheckParent(dir+"/d/e"), "belongs to user nobody", "chown 0 "+dir+"/d/e")
	refused(t, "below", CheckBelow(dir+"/d/e"), "belongs to user nobody")
	os.Chown(dir+"/d/e", 0, 0)
	os.Chown(dir+"/d", nobody, nobody)
	refused(t, "the directory above", CheckDir(dir+"/d/e"), dir+"/d belongs to user nobody")
}

func TestLinksAreFollowedIfTheyAreOurs(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, dir+"/real/deep", 0o700)
	os.Symlink("real", dir+"/relative")
	os.Symlink(dir+"/relative/../real/deep", dir+"/absolute")
	for _, path := range []string{dir + "/relative", dir + "/absolute", dir + "/relative/deep"} {
		if err := CheckDir(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	refused(t, "below", CheckBelow(dir+"/relative"), "is a link")
	os.Symlink("loop", dir+"/loop")
	if err := CheckDir(dir + "/loop"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
	os.Chmod(dir+"/real", 0o777)
	refused(t, "where a link leads", CheckDir(dir+"/absolute"), "chmod go-w "+dir+"/real")

	asRoot(t)
	os.Chmod(dir+"/real", 0o755)
	mkdir(t, dir+"/tmp", 0o777|fs.ModeSticky)
	os.Symlink(dir+"/real", dir+"/tmp/link")
	os.Lchown(dir+"/tmp/link", nobody, nobody)
	refused(t, "a link of another", CheckDir(dir+"/tmp/link/deep"), dir+"/tmp/link is a link of user nobody")
}

func TestFilesAreNeitherLinksNorOfOthers(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/precious", []byte("precious"), 0o644)
	os.Symlink(dir+"/precious", dir+"/link")
	const make = os.O_RDWR | os.O_CREATE | os.O_TRUNC
	_, err := OpenFile(dir+"/link", make)
	refused(t, "a link", err, dir+"/link is a link")
	_, err = OpenFile(dir, os.O_RDONLY)
	refused(t, "a directory", err, "is no file")
	syscall.Mkfifo(dir+"/fifo", 0o600)
	_, err = OpenFile(dir+"/fifo", make)
	refused(t, "a FIFO", err, "is no file")
	os.WriteFile(dir+"/open", []byte("planted"), 0o600)
	os.Chmod(dir+"/open", 0o666)
	_, err = OpenFile(dir+"/open", make)
	refused(t, "one that others write", err, "chmod go-w "+dir+"/open")
	if data, _ := os.ReadFile(dir + "/precious"); string(data) != "precious" {
		t.Errorf("it became %q", data)
	}
	f, err := OpenFile(dir+"/new", make)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	os.Chmod(dir+"/new", 0o644)
	os.WriteFile(dir+"/new", []byte("long"), 0)
	if f, err = OpenFile(dir+"/new", make); err != nil {
		t.Fatal(err)
	}
	if info, _ := f.Stat(); info.Mode() != 0o600 || info.Size() != 0 {
		t.Errorf("%v, %d bytes", info.Mode(), info.Size())
	}
	f.Close()

	asRoot(t)
	os.WriteFile(dir+"/others", []byte("planted"), 0o600)
	os.Chown(dir+"/others", nobody, nobody)
	_, err = OpenFile(dir+"/others", make)
	refused(t, "one of another", err, "belongs to user nobody")
	if data, _ := os.ReadFile(dir + "/others"); string(data) != "planted" {
		t.Errorf("it became %q", data)
	}
}

// What a user has written and the daemon only reads stays as it is.
func TestWhatIsGivenIsOursAndLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/given", []byte("text"), 0o644)
	os.Chmod(dir+"/given", 0o644)
	if data, err := ReadGiven(dir+"/given", 4); string(data) != "text" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(dir + "/given"); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	_, err := ReadGiven(dir+"/given", 3)
	refused(t, "a long one", err, "has more than 3 bytes")
	if _, err := ReadGiven(dir+"/none", 3); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	os.Symlink("given", dir+"/link")
	_, err = ReadGiven(dir+"/link", 4)
	refused(t, "a link", err, "is a link")
	syscall.Mkfifo(dir+"/fifo", 0o600)
	_, err = ReadGiven(dir+"/fifo", 4)
	refused(t, "a FIFO", err, "is no file")
	os.Chmod(dir+"/given", 0o664)
	_, err = ReadGiven(dir+"/given", 4)
	refused(t, "others write it", err, "chmod go-w "+dir+"/given")
	asRoot(t)
	os.Chmod(dir+"/given", 0o644)
	os.Chown(dir+"/given", nobody, nobody)
	_, err = ReadGiven(dir+"/given", 4)
	refused(t, "one of another", err, "belongs to user nobody")
}

func TestASecretIsWhatOnlyThisUserOrRootCanHaveWritten(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/secret", []byte("hush\r\nmore\n"), 0o600)
	os.Symlink("secret", dir+"/link")
	for _, path := range []string{dir + "/secret", dir + "/link"} {
		if secret, err := ReadSecret(path); string(secret) != "hush" || err != nil {
			t.Errorf("%q, %v", secret, err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("of a shell\n")
	w.Close()
	if secret, err := ReadSecret("/dev/fd/" + strconv.Itoa(int(r.Fd()))); string(secret) != "of a shell" || err != nil {
		t.Errorf("a descriptor: %q, %v", secret, err)
	}
	os.Chmod(dir+"/secret", 0o666)
	_, err = ReadSecret(dir + "/secret")
	refused(t, "others can write it", err, "chmod go-w "+dir+"/secret")

	asRoot(t)
	os.Chmod(dir+"/secret", 0o600)
	os.Chown(dir+"/secret", nobody, nobody)
	_, err = ReadSecret(dir + "/link")
	refused(t, "of another", err, "belongs to user nobody", "chown 0 "+dir+"/secret")
	// Whoever puts a FIFO there must not make us wait.
	syscall.Mkfifo(dir+"/fifo", 0o600)
	os.Chown(dir+"/fifo", nobody, nobody)
	_, err = ReadSecret(dir + "/fifo")
	refused(t, "a FIFO of another", err, "belongs to user nobody")
}

func TestUserMaps(t *testing.T) {
	for _, c := range []struct {
		uidMap string
		want   bool
	}{
		{"         0          0 4294967295\n", true},
		{"         0       1000          1\n", false},
		{"0 1000 1\n1 100000 65536\n", true},
		{"0 100000 65534\n", false},
		{"", false},
		{"damaged\n", false},
	} {
		if got := maps(c.uidMap, nobody); got != c.want {
			t.Errorf("%q: %v", c.uidMap, got)
		}
	}
}
