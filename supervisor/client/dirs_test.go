package client

import (
	"os"
	"os/user"
	"testing"
)

// Others have the places of the XDG base directories, root those of the system whatever his
// environment says.
func TestDirectoriesOfEachUser(t *testing.T) {
	const uid = 54321 // nobody's
	own := t.TempDir()
	if err := os.Chown(own, os.Geteuid(), -1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		variable, value   string
		of                func(uid int) string
		root, user, named string
	}{
		{"XDG_STATE_HOME", "/home/me/state", stateDir, "/var/lib/processmanager", "/home/me/.local/state/processmanager", "/home/me/state/processmanager"},
		{"XDG_CONFIG_HOME", "/home/me/config", configDir, "/etc/processmanager", "/home/me/.config/processmanager", "/home/me/config/processmanager"},
		{"XDG_RUNTIME_DIR", "/none/such", runtimeDir, "/run/processmanager", "/run/user/54321/processmanager", "/none/such/processmanager"},
	} {
		t.Setenv("HOME", "/home/me")
		for value, want := range map[string]string{"": c.user, "relative": c.user, c.value: c.named, c.value + "/": c.named} {
			t.Setenv(c.variable, value)
			if got := c.of(uid); got != want {
				t.Errorf("%s=%s: %s, want %s", c.variable, value, got, want)
			}
			if got := c.of(0); got != c.root {
				t.Errorf("%s=%s for root: %s, want %s", c.variable, value, got, c.root)
			}
		}
	}
	t.Setenv("XDG_RUNTIME_DIR", own) // of the one who tests
	if got := runtimeDir(uid); got != "/run/user/54321/processmanager" {
		t.Errorf("another user's runtime directory is taken: %s", got)
	}
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "")
	someone, err := user.LookupId("1")
	if err != nil {
		t.Skip(err)
	}
	if got, want := stateDir(1), someone.HomeDir+"/.local/state/processmanager"; got != want {
		t.Errorf("without $HOME: %s, want %s", got, want)
	}
}
