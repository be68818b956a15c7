package heroscript

import (
	"slices"
	"testing"
)

func TestQuoteOnlyWhereNeeded(t *testing.T) {
	for value, want := range map[string]string{
		"":                "''",
		"x":               "x",
		"//":              "//",
		"http://h:80/a#b": "http://h:80/a#b",
		`\`:               `\`,
		`C:\n`:            `C:\n`,
		"a b":             "'a b'",
		"a\tb":            "'a\tb'",
		"a\r":             "'a\r'",
		"a\n":             "'a\n'",
		"it's":            `'it\'s'`,
		`"x"`:             `'"x"'`,
		`a \ b`:           `'a \\ b'`,
		`\'`:              `'\\\''`,
		"ü\u00a0€":        "ü\u00a0€",
	} {
		if got := Quote(value); got != want {
			t.Errorf("Quote(%q) = %s, want %s", value, got, want)
		}
		script, err := Parse("!!x v:" + Quote(value) + " w")
		if err != nil || script[0].Params[0].Value != value {
			t.Errorf("Quote(%q) reads as %+v, %v", value, script, err)
		}
	}
}

func TestFormatIsCanonical(t *testing.T) {
	script, err := Parse("# x\n!!process.start NAME: \"web\" // y\n\n\tcommand:\n    'a\n  b' log deadline:\n!!help")
	if err != nil {
		t.Fatal(err)
	}
	want := "!!process.start name:web command:'a\n  b' log deadline:''\n!!help\n"
	if got := Format(script); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// same reports whether two scripts are equal but for positions.
func same(a, b Script) bool {
	return slices.EqualFunc(a, b, func(a, b Action) bool {
		return a.Actor == b.Actor && a.Name == b.Name && slices.EqualFunc(a.Params, b.Params, func(a, b Param) bool {
			return a.Key == b.Key && a.Value == b.Value && a.Flag == b.Flag
		})
	})
}
