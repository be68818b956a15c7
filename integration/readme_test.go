package integration

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestReadmeNamesEveryFlag(t *testing.T) {
	table := readmeTables(t)
	for program, arg := range map[string]string{programs.daemon: "-help", programs.client: "help"} {
		usage := filepath.Base(program) + " " + arg
		out, err := exec.Command(program, arg).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", usage, err, out)
		}
		flags := regexp.MustCompile(`(?m)^  -([a-z_-]+)`).FindAllStringSubmatch(string(out), -1)
		if len(flags) == 0 {
			t.Errorf("%s shows no flags:\n%s", usage, out)
		}
		for _, f := range flags {
			if !table["-"+f[1]] {
				t.Errorf("-%s of %s is not in the README's tables", f[1], usage)
			}
		}
	}
}

func TestReadmeNamesEveryVerbAndParameter(t *testing.T) {
	table := readmeTables(t)
	for _, v := range verbs.All() {
		if !table[v.Name] {
			t.Errorf("%s is not in the README's tables", v.Name)
		}
		for _, p := range v.AllParams() {
			if !table[p.Name] {
				t.Errorf("parameter %s of %s is not in the README's tables", p.Name, v.Name)
			}
		}
	}
}

func TestReadmeNamesEveryJSONField(t *testing.T) {
	table := readmeTables(t)
	said := func(name string) {
		if !table[name] {
			t.Errorf("%s of a status is not in the README's tables", name)
		}
	}
	for _, f := range process.Fields {
		said(f.JSON)
	}
	for _, part := range []reflect.Type{reflect.TypeFor[process.Condition](), reflect.TypeFor[process.Run]()} {
		for i := range part.NumField() {
			if name, _, _ := strings.Cut(part.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
				said(name)
			}
		}
	}
}

// readmeTables is what stands between backquotes in the tables of the README and of the
// documents that it leads to, and, as a flag's value is not part of its name, its first word.
func readmeTables(t *testing.T) map[string]bool {
	t.Helper()
	docs, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, path := range append(docs, "../README.md") {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			t.Skip("the source tree is not here")
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "|") {
				continue
			}
			for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
				word, _, _ := strings.Cut(quoted[1], " ")
				found[word] = true
			}
		}
	}
	return found
}
