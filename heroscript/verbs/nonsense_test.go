package verbs

import (
	"errors"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// nonsense is what no parameter of numbers, times, sizes, choices or names takes.
var nonsense = []string{
	"\x00", "a\nb", "\xff", " ", "-", "-1", "1e400", "NaN", "0x", "1.2.3", "99999999999999999999999", "-9223372036854775809",
	"99999999999999999999h", "1s1", "25:61", "2026-13-45", "a b", "'", "💥", "\x1b[31m", "../..", strings.Repeat("9", 5000), strings.Repeat("x", 1<<20),
}

// Whatever is given for a parameter, it is taken, or refused in one short line that names it.
func TestNonsenseInEveryParameter(t *testing.T) {
	refused := map[string]int{}
	for _, v := range All() {
		for _, p := range v.AllParams() {
			for _, text := range nonsense {
				given := []string{p.Name, text}
				for _, other := range v.AllParams() {
					value := map[string]string{"name": "web", "signal": "TERM", "command": "true", "stop_timeout": "1", "needs": "true", "size": "1M"}[other.Name]
					if value != "" && other.Name != p.Name {
						given = append(given, other.Name, value)
					}
				}
				err := Check(NewAction(v.Name, given...))
				if err == nil {
					continue
				}
				refused[v.Name+" "+p.Name]++
				said := err.Error()
				switch {
				case !errors.Is(err, process.ErrInvalid):
					t.Errorf("%s %s:%.20q: %v", v.Name, p.Name, text, err)
				case !strings.Contains(said, p.Name) && !strings.Contains(said, strings.ReplaceAll(p.Name, "_", " ")):
					t.Errorf("%s %s:%.20q: the error does not name it: %.200s", v.Name, p.Name, text, said)
				case len(said) > 500 || strings.ContainsFunc(said, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
					t.Errorf("%s %s:%.20q: the error is not one short line: %.300q", v.Name, p.Name, text, said)
				}
			}
		}
	}
	for _, v := range All() {
		for _, p := range v.AllParams() {
			if refused[v.Name+" "+p.Name] == 0 {
				t.Errorf("%s takes anything for %s", v.Name, p.Name)
			}
		}
	}
}
