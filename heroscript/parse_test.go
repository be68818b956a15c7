package heroscript

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScripts holds Parse to the files of testdata; testdata/README says how
// they are written.
func TestScripts(t *testing.T) {
	for file, cases := range readTestdata(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			for _, c := range cases {
				if got := outcome(c.input); got != c.want {
					t.Errorf("%s:%d: %q\ngot:\n%swant:\n%s", file, c.line, c.input, got, c.want)
				}
			}
		})
	}
}

// readTestdata returns the cases of each file.
func readTestdata(t testing.TB) map[string][]testCase {
	t.Helper()
	files, err := filepath.Glob("testdata/*.hero")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	all := make(map[string][]testCase)
	for _, file := range files {
		all[file] = readCases(t, file)
	}
	return all
}

// A testCase is an input and the outcome that stands below it.
type testCase struct {
	line        int
	input, want string
}

func readCases(t testing.TB, file string) []testCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []testCase
	inInput := false
	for i, line := range strings.Split(string(data), "\n") {
		wasInput := inInput
		inInput = strings.HasPrefix(line, "|")
		switch {
		case inInput:
			input := testEscapes.Replace(strings.TrimPrefix(line[1:], " "))
			if wasInput {
				cases[len(cases)-1].input += "\n" + input
			} else {
				cases = append(cases, testCase{line: i + 1, input: input})
			}
		case strings.HasPrefix(line, "\t"):
			cases[len(cases)-1].want += line[1:] + "\n"
		case line != "" && !strings.HasPrefix(line, "#"):
			t.Fatalf("%s:%d: neither input, outcome nor comment: %q", file, i+1, line)
		}
	}
	return cases
}

// testEscapes writes in test files what an editor would not show.
var testEscapes = strings.NewReplacer("␍", "\r", "␉", "\t", "␀", "\x00", "␦", "\xff")

// outcome writes what Parse makes of a text, a line for each thing found.
func outcome(text string) string {
	script, err := Parse(text)
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, a := range script {
		fmt.Fprintf(&b, "%d:%d %s\n", a.Pos.Line, a.Pos.Column, a.Verb())
		for _, p := range a.Params {
			fmt.Fprintf(&b, "  %d:%d %s", p.Pos.Line, p.Pos.Column, p.Key)
			if !p.Flag {
				fmt.Fprintf(&b, " %d:%d %q", p.ValuePos.Line, p.ValuePos.Column, p.Value)
			}
			b.WriteByte('\n')
		}
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

func TestFlagReadsAsTrue(t *testing.T) {
	script, err := Parse("!!process.start Log name:x")
	if err != nil {
		t.Fatal(err)
	}
	p, ok := script[0].Get("LOG")
	want := Param{Key: "log", Value: "true", Flag: true, Pos: Pos{1, 17}, ValuePos: Pos{1, 17}}
	if !ok || p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
	if _, ok := script[0].Get("cron"); ok {
		t.Error("found a parameter that is not there")
	}
}

func TestDoubledKeyIsKeptTwice(t *testing.T) {
	script, err := Parse("!!x a:1 A:2")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(script[0].Params); n != 2 {
		t.Errorf("%d parameters, want 2", n)
	}
	if p, _ := script[0].Get("a"); p.Value != "1" {
		t.Errorf("Get returned %q, want the first", p.Value)
	}
}

func TestFaultReturnsNothingOfTheScript(t *testing.T) {
	script, err := Parse("!!process.delete name:x\n!!process.delete name:'y\n")
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("error %v is no *SyntaxError", err)
	}
	if script != nil {
		t.Errorf("got %v beside the error", script)
	}
	if want := (Pos{2, 23}); syntax.Pos != want {
		t.Errorf("at %v, want %v", syntax.Pos, want)
	}
}

// hardScript is a value that meets all that the scanner looks for, of about
// 100 KiB.
func hardScript() string {
	const line = "echo \"it's\" '**ENDRESULT**' \\\\ \\' \\\" // # !!quit key:'ä €' 😀\r\n\t**ENDRESULT**\n\n!!process.list\n"
	return strings.Repeat(line, 100<<10/len(line)+1)
}

func TestLargeValueArrivesAsWritten(t *testing.T) {
	value := hardScript()
	in := Script{{Actor: "process", Name: "start", Params: []Param{{Key: "command", Value: value}}}}
	out, err := Parse(Format(in))
	if err != nil {
		t.Fatal(err)
	}
	if got := out[0].Params[0].Value; got != value {
		t.Error("the value changed")
	}
	double := `!!x v:"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	out, err = Parse(double)
	if err != nil {
		t.Fatal(err)
	}
	if got := out[0].Params[0].Value; got != value {
		t.Error("the value changed in double quotes")
	}
}

func BenchmarkParseLargeValue(b *testing.B) {
	text := Format(Script{{Name: "x", Params: []Param{{Key: "command", Value: hardScript()}}}})
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseManyActions(b *testing.B) {
	text := strings.Repeat("!!process.start name:'myprocess' command:'echo hello world' log:true\n", 1000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
