package definitions

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

func parse(t *testing.T, texts ...string) []Definition {
	t.Helper()
	all, err := Parse(files(texts))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func files(texts []string) (files []process.File) {
	for i, text := range texts {
		files = append(files, process.File{Path: fmt.Sprintf("/d/%d.hero", i), Text: text})
	}
	return files
}

func TestADefinitionKnowsWhereItStands(t *testing.T) {
	all := parse(t, "\ufeff// a comment\r\n!!process.define name:a command:'x\n  y' log\n", "", "# another\n\n!!process.define name:b\n    command:z\n")
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	a, b := all[0], all[1]
	if a.Spec.Command != "x\n  y" || !a.Spec.Log || a.Path != "/d/0.hero" || a.Pos != (heroscript.Pos{Line: 2, Column: 1}) {
		t.Errorf("%+v", a)
	}
	if b.Spec.Command != "z" || b.Path != "/d/2.hero" || b.Pos != (heroscript.Pos{Line: 3, Column: 1}) {
		t.Errorf("%+v", b)
	}
}

func TestAFaultSaysFileLineAndColumn(t *testing.T) {
	for text, want := range map[string]string{
		"!!process.define name:a command:'x\n":                                          "/d/1.hero: line 1, column 33: quote opened here is never closed",
		"!!process.define name:a command:x\nit":                                         "/d/1.hero: line 2, column 1: expected",
		"!!process.define name:a command:x\xff":                                         "/d/1.hero: line 1, column 34: expected UTF-8",
		"!!process.start name:a command:x":                                              "/d/1.hero: line 1, column 1: \"!!process.start\" does not belong here",
		"!!process.define name:a":                                                       "/d/1.hero: line 1, column 1: process.define needs the parameter command",
		"!!process.define name:a command:x\n    deadline:5x":                            "/d/1.hero: line 2, column 14: deadline: ",
		"!!process.define name:a command:x cron:'61 * * * *'":                           "/d/1.hero: line 1, column 40: cron: ",
		"!!process.define name:- command:x":                                             "/d/1.hero: line 1, column 23: name: ",
		"!!process.define name:a command:x\n\n!!process.define name:a command:y":        "/d/1.hero: line 3, column 1: process 'a' is defined already at /d/1.hero: line 1, column 1: take one of them out",
		"!!process.define name:b command:x\n!!process.define name:first command:'true'": "/d/1.hero: line 2, column 1: process 'first' is defined already at /d/0.hero: line 1, column 1: take one of them out",
	} {
		_, err := Parse(files([]string{"!!process.define name:first command:true", text}))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q:\ngot  %v\nwant %s", text, err, want)
		}
		if !errors.Is(err, process.ErrInvalid) && !errors.Is(err, process.ErrSyntax) {
			t.Errorf("%q: %v has no code of ours", text, err)
		}
	}
	if _, err := Parse([]process.File{{Path: "-", Text: "x"}}); err == nil || !strings.HasPrefix(err.Error(), "standard input: line 1, column 1: ") {
		t.Errorf("%v", err)
	}
}

// known are processes that were defined by what parse gives, from files of those names.
func known(all []Definition) map[string]Known {
	m := map[string]Known{}
	for _, d := range all {
		m[d.Spec.Name] = Known{Spec: d.Spec, Source: d.Path, Dir: "/"}
	}
	return m
}

// runs is k with a tree that follows a spec.
func (k Known) runs(spec process.Spec) Known {
	if spec.Dir == "" {
		spec.Dir = k.Dir
	}
	k.Follows = &spec
	return k
}

func TestPlan(t *testing.T) {
	const same = "!!process.define name:x command:one deadline:5\n"
	one := parse(t, same)[0]
	at := func(source string) Known { return Known{Spec: one.Spec, Source: source, Dir: "/"} }
	changed := func(text string) process.Spec { return parse(t, "!!process.define name:x command:one "+text)[0].Spec }
	for what, c := range map[string]struct {
		text  string
		is    *Known
		o     Options
		want  string
		taken bool
	}{
		"new":                        {same, nil, Options{}, "new [] []", false},
		"as it is":                   {same, new(at("/d/0.hero")), Options{}, "unchanged [] []", false},
		"as it is and runs":          {same, new(at("/d/0.hero").runs(one.Spec)), Options{Restart: true}, "unchanged [] []", false},
		"the default is said":        {"!!process.define name:x command:one deadline:5s stop_signal:SIGTERM stop_timeout:10", new(at("/d/0.hero").runs(one.Spec)), Options{}, "unchanged [] []", false},
		"of a command":               {same, new(at("")), Options{}, "taken [] []", true},
		"of another file":            {same, new(at("/e/0.hero")), Options{}, "taken [] []", true},
		"live":                       {"!!process.define name:x command:one deadline:6\n", new(at("/d/0.hero").runs(one.Spec)), Options{Restart: true}, "changed [deadline] []", false},
		"left out is the default":    {"!!process.define name:x command:one\n", new(at("").runs(one.Spec)), Options{}, "changed [deadline] []", true},
		"at rest":                    {"!!process.define name:x command:two deadline:5\n", new(at("/d/0.hero")), Options{Restart: true}, "changed [command] []", false},
		"a tree cannot follow":       {"!!process.define name:x command:two\n", new(at("/d/0.hero").runs(one.Spec)), Options{}, "waits [command deadline] [command]", false},
		"and may be restarted":       {"!!process.define name:x command:two\n", new(at("/d/0.hero").runs(one.Spec)), Options{Restart: true}, "restarted [command deadline] [command]", false},
		"it still does not":          {same, new(at("/d/0.hero").runs(changed("dir:/tmp deadline:5"))), Options{}, "waits [] [dir]", false},
		"and is restarted":           {same, new(at("/d/0.hero").runs(changed("dir:/tmp deadline:5"))), Options{Restart: true}, "restarted [] [dir]", false},
		"back to what runs":          {same, &Known{Spec: changed("dir:/tmp deadline:5"), Source: "/d/0.hero", Dir: "/", Follows: new(changed("dir:/ deadline:5"))}, Options{Restart: true}, "changed [dir] []", false},
		"the directory is said":      {"!!process.define name:x command:one deadline:5 dir:/", new(at("/d/0.hero").runs(one.Spec)), Options{}, "changed [dir] []", false},
		"a job id belongs to a cron": {"!!process.define name:x command:one deadline:5 cron:@daily jobid:j", new(at("/d/0.hero")), Options{}, "changed [cron deadline jobid] []", false},
	} {
		all := map[string]Known{}
		if c.is != nil {
			all["x"] = *c.is
		}
		steps := Plan(parse(t, c.text), all, c.o)
		if len(steps) != 1 {
			t.Fatalf("%s: %+v", what, steps)
		}
		s := steps[0]
		fields := slices.Sorted(slices.Values(s.Fields))
		fields = slices.DeleteFunc(fields, func(f string) bool { return f == "deadline" && strings.Contains(c.text, "jobid") })
		want := strings.Replace(c.want, "cron deadline jobid", "cron jobid", 1)
		if got := fmt.Sprint(s.Action, " ", fields, " ", s.Waits); got != want || s.IsTaken != c.taken || s.Name != "x" {
			t.Errorf("%s: got %s, want %s; %+v", what, got, want, s)
		}
	}
}

func TestPruneTakesWhatThePathHadDefined(t *testing.T) {
	all := map[string]Known{}
	for name, source := range map[string]string{
		"command": "", "inside": "/d/a.hero", "kept": "/d/a.hero", "other": "/d/b.hero", "deeper": "/d/e/a.hero", "beside": "/da/a.hero", "input": "-", "folder": "/d",
	} {
		all[name] = Known{Source: source}
	}
	wanted := []Definition{{Spec: process.Spec{Name: "kept"}, Path: "/d/a.hero"}, {Spec: process.Spec{Name: "z"}, Path: "/d/z.hero"}}
	for path, want := range map[string]string{
		"/d": "folder inside other", "/d/a.hero": "inside", "/d/b.hero": "other", "-": "input", "/": "folder", "": "", ".": "", "/da": "beside",
	} {
		for _, prune := range []bool{false, true} {
			var gone []string
			for _, s := range Plan(wanted, all, Options{Path: path, Prune: prune}) {
				if s.Action == process.ApplyDeleted {
					gone = append(gone, s.Name)
				}
			}
			if strings.Join(gone, " ") != want && prune || !prune && len(gone) > 0 {
				t.Errorf("%q, prune %v: %v, want %s", path, prune, gone, want)
			}
		}
	}
}

func TestWhatIsNeededIsNotPruned(t *testing.T) {
	was := known(parse(t, "!!process.define name:db command:x\n!!process.define name:web command:x needs:db\n", "!!process.define name:cache command:x\n!!process.define name:mine command:x needs:cache\n"))
	for text, want := range map[string]string{
		"": "",
		"!!process.define name:web command:x needs:db\n":                                    "/d/0.hero: line 1, column 1: process 'web' needs 'db'",
		"!!process.define name:web command:x\n":                                             "",
		"!!process.define name:web command:x\n!!process.define name:n command:x needs:db\n": "/d/0.hero: line 2, column 1: process 'n' needs 'db'",
	} {
		err := CheckNeeds(Plan(parse(t, text), was, Options{Path: "/d/0.hero", Prune: true}), was)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.HasPrefix(got, want) && want != "" {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if err := CheckNeeds(Plan(parse(t, "!!process.define name:n command:x"), map[string]Known{
		"db": {Source: "/d/0.hero"}, "web": {Spec: was["web"].Spec},
	}, Options{Path: "/d/0.hero", Prune: true}), was); !errors.Is(err, process.ErrNeeded) || !strings.HasPrefix(err.Error(), "process 'web' needs 'db'") {
		t.Errorf("%v", err)
	}
}

// texts are values that a text of a definition may have, and that are hard to write.
var texts = []string{
	"x", "'", `"`, `\`, `\'`, `\\`, `'\`, "a b", " a", "a ", "a\n", "\na", "a\r\nb", "a\rb", "\t", "a\n\n\n!!process.stop name:b\n# x\n// y\n",
	"//", "// x", "#x", "!!x", "**RESULT**\n**ENDRESULT**", "true", "''", `""`, "é", "日本\u202e", "\x1b[31m\x7f\x01", "\ufeff", "a:b", "name:x", "$HOME `x` %d",
	strings.Repeat("'\\\n", 1000),
}

// property: whatever a definition is, its text gives it back.
func checkText(t *testing.T, spec process.Spec) {
	t.Helper()
	text := Text(spec)
	back, err := Parse([]process.File{{Path: "x", Text: text + "\n" + Text(process.Spec{Name: "behind-it", Command: "b"})}})
	if err != nil || len(back) != 2 || !reflect.DeepEqual(back[0].Spec, spec) || back[1].Spec.Command != "b" {
		t.Fatalf("%q:\ngot  %+v, %v\nwant %+v", text, back, err, spec)
	}
	if again := Text(back[0].Spec); again != text {
		t.Fatalf("got %q\nwant %q", again, text)
	}
}

func TestTextGivesTheDefinitionBack(t *testing.T) {
	for _, text := range texts {
		if process.ValidateCommand(text) == nil {
			checkText(t, process.Spec{Name: "a", Command: text})
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		checkText(t, randomSpec(rnd))
	}
}

// randomSpec has for each field of the table no value or one of those that it takes.
func randomSpec(rnd *rand.Rand) process.Spec {
	spec := process.Spec{Name: "a", Command: "true"}
	for i := range process.Fields {
		f := &process.Fields[i]
		for try := 0; try < 10 && (f.Name == "command" || rnd.IntN(3) > 0); try++ {
			next := spec
			if err := f.Set(&next, randomValue(rnd, f)); err == nil && next.Validate() == nil && (next.Cron == "" || schedule.Validate(next.Cron) == nil) {
				spec = next
				break
			}
		}
	}
	if spec.Cron != "" && rnd.IntN(2) == 0 {
		spec.JobID = "j:1"
	}
	return spec
}

// values are those of fields that take no text.
var values = []string{
	"0", "1", "1.5", "0.000000001", "90s", "1h30m", "36500d", "64K", "4096", "9223372036854775807", "10000", "true", "false", "yes", "TERM", "KILL", "64", "USR1",
	"@daily", "@every 10s", "*/5 3 * * 1-5", "CRON_TZ=Europe/Brussels 0 3 * * *", "drop", "block", "/", "/srv/a b'c\n", "b", "b, c", "b:completed,c",
	"A=1", "A=1\nB='2 3'\n", "A=\\x\n# not\nB=é", "on-failure", "always", "no", "0,143", "022", "77", "-5", "19", "-1000", "1:2", "1024:unlimited", "unlimited",
	"null", "file:/etc/x y", "notify", "tcp:localhost:80", "log:a'b", "exec:x \"y\"", "delay:2s", "unix:/s", "http://localhost/x", "http:http://h/x", "nobody", "restart", "none",
	"150%", "0-3,6", "/srv a rbps=1M\n/dev/vda wiops=7",
}

func randomValue(rnd *rand.Rand, f *process.Field) string {
	all := append(append(slices.Clone(values), texts...), f.Choices...)
	if f.Name == "command" {
		all = texts
	}
	text := all[rnd.IntN(len(all))]
	if rnd.IntN(4) == 0 {
		text += all[rnd.IntN(len(all))]
	}
	return text
}

// Every field is tried: one that no value of the test fits would be tried never.
func TestThePropertyTriesEveryField(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	tried := map[string]bool{}
	for range 3000 {
		spec := randomSpec(rnd)
		for i := range process.Fields {
			if f := &process.Fields[i]; f.Text(spec) != "" {
				tried[f.Name] = true
			}
		}
	}
	for i := range process.Fields {
		if name := process.Fields[i].Name; !tried[name] {
			t.Errorf("no value of the test is one of %s: add one to values", name)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, text := range texts {
		f.Add(text, "/"+text)
	}
	f.Fuzz(func(t *testing.T, command, dir string) {
		spec := process.Spec{Name: "a", Command: command, Dir: dir}
		if spec.Validate() == nil {
			checkText(t, spec)
		}
	})
}

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderIsItsFilesByName(t *testing.T) {
	dir := folder(t)
	write(t, dir+"/b.hero", "b", 0o644)
	write(t, dir+"/a.hero", "a", 0o600)
	write(t, dir+"/a.hero~", "x", 0o666)
	write(t, dir+"/.c.hero", "x", 0o666)
	write(t, dir+"/readme", "x", 0o666)
	got, err := Folder(dir)
	if want := []process.File{{Path: dir + "/a.hero", Text: "a"}, {Path: dir + "/b.hero", Text: "b"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if info, err := os.Stat(dir + "/b.hero"); err != nil || info.Mode() != 0o644 {
		t.Errorf("the file was touched: %v, %v", info.Mode(), err)
	}
	if _, err := Folder(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir() + "/d"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhatOthersCouldHaveWrittenIsRefused(t *testing.T) {
	nobody := func(t *testing.T, path string) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give files away")
		}
		if err := os.Lchown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct {
		do   func(t *testing.T, dir string) (folder string)
		want string
	}{
		"a folder that others write":   {func(t *testing.T, dir string) string { os.Chmod(dir, 0o777); return dir }, "chmod go-w"},
		"a folder that a group writes": {func(t *testing.T, dir string) string { os.Chmod(dir, 0o775); return dir }, "chmod go-w"},
		"a sticky folder":              {func(t *testing.T, dir string) string { os.Chmod(dir, 0o777|fs.ModeSticky); return dir }, "chmod go-w"},
		"a folder of another":          {func(t *testing.T, dir string) string { nobody(t, dir); return dir }, "belongs to user nobody"},
		"a link to a folder":           {func(t *testing.T, dir string) string { os.Symlink(dir, dir+"l"); return dir + "l" }, "is a link"},
		"a file":                       {func(t *testing.T, dir string) string { return dir + "/a.hero" }, "is no directory"},
		"a file that others write":     {func(t *testing.T, dir string) string { os.Chmod(dir+"/a.hero", 0o666); return dir }, "chmod go-w"},
		"a file of another":            {func(t *testing.T, dir string) string { nobody(t, dir+"/a.hero"); return dir }, "belongs to user nobody"},
		"a link":                       {func(t *testing.T, dir string) string { os.Symlink("a.hero", dir+"/b.hero"); return dir }, "b.hero is a link"},
		"a link to nothing":            {func(t *testing.T, dir string) string { os.Symlink("x", dir+"/b.hero"); return dir }, "b.hero is a link"},
		"a FIFO":                       {func(t *testing.T, dir string) string { syscall.Mkfifo(dir+"/b.hero", 0o600); return dir }, "b.hero is no file"},
		"a folder in it":               {func(t *testing.T, dir string) string { os.Mkdir(dir+"/b.hero", 0o700); return dir }, "b.hero is no file"},
		"a file that is too large": {func(t *testing.T, dir string) string {
			write(t, dir+"/b.hero", strings.Repeat("x", MaxFile+1), 0o600)
			return dir
		}, "b.hero has more than 1048576 bytes"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := folder(t)
			write(t, dir+"/a.hero", "", 0o644)
			_, err := Folder(c.do(t, dir))
			if _, ok := errors.AsType[*private.Error](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	for i := range 1000 {
		text.WriteString(Text(process.Spec{Name: fmt.Sprintf("web%d", i), Command: "cd /srv/web && exec ./serve --port 8080", Dir: "/srv/web"}))
	}
	all := []process.File{{Path: "/d/a.hero", Text: text.String()}}
	for b.Loop() {
		wanted, err := Parse(all)
		if err != nil {
			b.Fatal(err)
		}
		if steps := Plan(wanted, known(wanted), Options{}); len(steps) != 1000 {
			b.Fatal(len(steps))
		}
	}
}
