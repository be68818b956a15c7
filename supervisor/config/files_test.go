package config

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is made from the table of flags")

// The files that are made from the table are in step with it:
//
//	go test ./supervisor/config -run InStep -update
func TestFilesAreInStepWithTheTable(t *testing.T) {
	const begin, end = "<!-- the flags: made from the table in supervisor/config -->\n", "<!-- end of the flags -->\n"
	for path, makeOf := range map[string]func(now string) string{
		"../../packaging/processmanager.conf": func(string) string { return Sample() },
		"../../docs/configuration.md": func(now string) string {
			before, rest, ok := strings.Cut(now, begin)
			_, after, closed := strings.Cut(rest, end)
			if !ok || !closed {
				t.Fatalf("it has no place for the table between %q and %q", begin, end)
			}
			return before + begin + Table() + end + after
		},
	} {
		now, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && !*update {
			if _, err := os.Stat("../../go.mod"); err != nil {
				t.Skip("the source tree is not here")
			}
		}
		if err != nil && !*update {
			t.Error(err)
			continue
		}
		want := makeOf(string(now))
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if string(now) != want {
			t.Errorf("%s is not what the table says: go test ./supervisor/config -run InStep -update", path)
		}
	}
}

// The sample says nothing until something in it is no comment any more, and then it can be.
func TestTheSampleIsRight(t *testing.T) {
	if values, wrong := parseFile("/f", Sample()); len(values) != 0 || wrong != nil {
		t.Errorf("%+v, %v", values, wrong)
	}
	for i := range Flags {
		f := &Flags[i]
		if comment := "#" + f.Name + " = "; f.Where == Anywhere != strings.Contains(Sample(), comment) {
			t.Errorf("%s: in the sample %v", f.Name, strings.Contains(Sample(), comment))
		}
	}
	uncommented := strings.ReplaceAll(Sample(), "\n#socket-group = processmanager\n", "\n")
	for i := range Flags {
		uncommented = strings.ReplaceAll(uncommented, "\n#"+Flags[i].Name+" = ", "\n"+Flags[i].Name+" = ")
	}
	if values, wrong := parseFile("/f", uncommented); len(values) == 0 || wrong != nil {
		t.Errorf("%+v, %v", values, wrong)
	}
}
