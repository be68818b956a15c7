package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// given is the package that was built.
const given = "/packages/processmanager.deb"

// variant makes a package of the given one, with another version. change gets the directory of
// its files, with DEBIAN in it.
func variant(t *testing.T, version string, change func(dir string)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), version)
	host.Root.Do(t, "dpkg-deb", "-R", given, dir)
	rewrite(t, dir+"/DEBIAN/control", "Version: "+host.Root.Do(t, "dpkg-deb", "-f", given, "Version"), "Version: "+version)
	change(dir)
	os.Remove(dir + "/DEBIAN/md5sums")
	host.Root.Do(t, "dpkg-deb", "-Znone", "-b", dir, dir+".deb")
	return dir + ".deb"
}

// later is a version whose program is another file, with the same in it but for its last byte.
func later(t *testing.T) string {
	return variant(t, "1000.1-1", func(dir string) {
		f, err := os.OpenFile(dir+program, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString("\n"); err != nil {
			t.Fatal(err)
		}
	})
}

func rewrite(t *testing.T, path, from, to string) {
	t.Helper()
	text := host.Read(t, path)
	if !strings.Contains(text, from) {
		t.Fatalf("%s lacks %q", path, from)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	host.Write(t, path, strings.ReplaceAll(text, from, to), info.Mode())
}
