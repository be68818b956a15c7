package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
)

// The words arrive as they are, whatever a shell would make of them: printf says them.
func TestWordsArriveAsTheyAre(t *testing.T) {
	for _, words := range [][]string{
		{"a"}, {""}, {"", "", ""}, {"a b", "c"}, {"it's", "'", "''", `\'`}, {"a\nb\n", "\n", "\t", "\r\n"},
		{"-n", "--", "-e", "-c"}, {"$HOME", "${x}", "`id`", "$(id)", "$$"}, {"*", "?", "[a]", "~", "{a,b}", "!", "#", "# x"},
		{`\`, `a\`, `\\`, `"`, `""`}, {"a;b", "a&b", "a|b", "(a)", "<a", ">a", "&&"}, {"A=b", "=", "%s", "%d"}, {"é", "日本", "\u202e"},
		{"if", "then", "done", "!", "{", "}"}, {strings.Repeat("x'", 1000)}, {"\x01", "\x7f"},
	} {
		script := commandOf(append([]string{"printf", `%s\0`}, words...))
		for _, shell := range []string{"/bin/sh", "bash"} {
			cmd := exec.Command(shell, "-c", script)
			out, err := cmd.Output()
			if want := strings.Join(words, "\x00") + "\x00"; string(out) != want || err != nil {
				t.Errorf("%s: %q said %q, %v", shell, words, out, err)
			}
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add("a", "it's", "-x\n")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		words := []string{a, b, c}
		for i, w := range words {
			if len(w) > 1000 || strings.IndexByte(w, 0) >= 0 || strings.ToValidUTF8(w, "") != w {
				words[i] = "x"
			}
		}
		out, err := exec.Command("/bin/sh", "-c", commandOf(append([]string{"printf", `%s\0`}, words...))).Output()
		if want := strings.Join(words, "\x00") + "\x00"; string(out) != want || err != nil {
			t.Errorf("%q said %q, %v", words, out, err)
		}
	})
}

// A command of plain words reads as it was typed, and its program is executed by its name
// and in the place of the shell.
func TestACommandOfWordsIsReadable(t *testing.T) {
	for want, words := range map[string][]string{
		"exec python3 -m http.server 8000": {"python3", "-m", "http.server", "8000"},
		"exec ./run --port=80 'a b' ''":    {"./run", "--port=80", "a b", ""},
		"exec 'A=b' A=b":                   {"A=b", "A=b"},
		"exec -- -x -y":                    {"-x", "-y"},
	} {
		if got := commandOf(words); got != want {
			t.Errorf("%q: %s, want %s", words, got, want)
		}
	}
}

func TestWordsBehindTheDashes(t *testing.T) {
	start, ok := verbs.Lookup("start")
	if !ok {
		t.Fatal("there is no start")
	}
	for _, test := range []struct {
		args    []string
		command string // or the error
		name    string
	}{
		{[]string{"web", "--", "python3", "-m", "http.server", "8000"}, "exec python3 -m http.server 8000", "web"},
		{[]string{"-log", "web", "--", "a", "--", "-log"}, "exec a -- -log", "web"},
		{[]string{"--", "a", "-name", "b"}, "start needs the name", ""},
		{[]string{"-name", "web", "-dir", "/", "--", "a"}, "exec a", "web"},
		{[]string{"web", "-command", "--"}, "--", "web"},
		{[]string{"web", "-command", "--", "--", "x"}, "the command is given twice", ""},
		{[]string{"web", "--"}, "a command is missing behind --", ""},
		{[]string{"web", "--", ""}, "a command is missing behind --", ""},
		{[]string{"web", "--", "a", "\xff"}, `word 2 of the command, "\xff", is not UTF-8`, ""},
		{[]string{"web", "-command", "true", "-env", "A=1", "--env=B=2 x", "-env", "C=-"}, "true", "web"},
	} {
		a, err := parseVerb(start, new(connection), test.args)
		if err != nil {
			if !strings.HasPrefix(err.Error(), test.command) {
				t.Errorf("%q: %v", test.args, err)
			}
			continue
		}
		command, _ := a.Get("command")
		name, _ := a.Get("name")
		if command.Value != test.command || name.Value != test.name {
			t.Errorf("%q: command %q, name %q", test.args, command.Value, name.Value)
		}
		if env, given := a.Get("env"); given != slices.Contains(test.args, "-env") || given && env.Value != "A=1\nB=2 x\nC=-" {
			t.Errorf("%q: env %q", test.args, env.Value)
		}
	}
}
