package completions

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/config"
)

func TestEveryFlagOfTheDaemonIsInEachCompletion(t *testing.T) {
	for path, text := range Files() {
		if !strings.Contains(path, "processmanager") {
			continue
		}
		for i := range config.Flags {
			// In bash and zsh as it is typed; fish has an option for it.
			if name := config.Flags[i].Name; !regexp.MustCompile(`(?m)(-|-o )` + name + `\b`).MatchString(text) {
				t.Errorf("%s does not know -%s", path, name)
			}
		}
	}
}

func TestShellsCanReadThem(t *testing.T) {
	for path, text := range Files() {
		shell, _, _ := strings.Cut(path, "/")
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("%s is not here: %v", shell, err)
			continue
		}
		cmd := exec.Command(shell, "-n")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}
