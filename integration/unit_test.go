package integration

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// What the unit takes from the daemon it takes from every process, and what it asks of
// systemd somebody will want to change: the reason stands above each setting.
func TestEachSettingOfTheUnitsHasItsReason(t *testing.T) {
	for _, name := range []string{"processmanager.service", "processmanager.socket", "user/processmanager.service"} {
		text, err := os.ReadFile("../packaging/" + name)
		if err != nil {
			t.Fatal(err)
		}
		settings, reason := 0, false
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			switch {
			case line == "" || strings.HasPrefix(line, "["):
				reason = false
			case strings.HasPrefix(line, "#"):
				reason = true
			default:
				settings++
				key, _, _ := strings.Cut(line, "=")
				if !reason && !slices.Contains([]string{"Description", "Documentation", "WantedBy", "ListenStream"}, key) { // these say it themselves
					t.Errorf("%s: no reason stands above %s", name, line)
				}
			}
		}
		if settings < 4 {
			t.Errorf("%s has %d settings", name, settings)
		}
	}
}
