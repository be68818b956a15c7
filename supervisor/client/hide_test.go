package client

import (
	"slices"
	"strings"
	"testing"
)

func TestTheSecretIsNotSeenInTheArguments(t *testing.T) {
	for _, c := range []struct{ args, seen string }{
		{"-secret hush", "-secret \x20\x20\x20\x20"},
		{"--secret hush", "--secret \x20\x20\x20\x20"},
		{"-secret=hush", "            "},
		{"--secret=hush -state /x", "              -state /x"}, // with its name
		{"-state /x -secret hush -socket /y", "-state /x -secret \x20\x20\x20\x20 -socket /y"},
		{"-secret-file hush", "-secret-file hush"},
		{"-secret-file=hush", "-secret-file=hush"},
		{"-secret", "-secret"},
		{"start web -env A=hush -env B=hush", "start web -env \x20\x20\x20\x20\x20\x20 -env \x20\x20\x20\x20\x20\x20"},
		{"start web --env=A=hush -env_file hushed", "start web              -env_file hushed"},
		{"secret hush", "secret hush"},
		{"-secret=a -secret=b", "                  "},
	} {
		seen := []string{"program"} // shares its bytes with args
		for _, word := range strings.Fields(c.args) {
			seen = append(seen, strings.Clone(word)) // may be overwritten, as those of os.Args
		}
		args := slices.Clone(seen)
		HideSecret(args)
		if got := strings.Join(args[1:], " "); got != c.args {
			t.Errorf("%s: the program reads %q", c.args, got)
		}
		got, want := strings.Join(seen[1:], " "), c.seen
		if strings.Contains(got, "hush") != strings.Contains(want, "hush") || strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s: others read %q", c.args, got)
		}
	}
}
