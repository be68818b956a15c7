package proc

import "strings"

// Environment returns what a run gets of a daemon's environment, PATH, HOME, USER,
// LOGNAME, SHELL, LANG, LC_*, TZ and TMPDIR, followed by extra. What holds a secret
// or belongs to the daemon's own start (NOTIFY_SOCKET, LISTEN_FDS) is not among it.
func Environment(environ []string, extra ...string) []string {
	kept := make([]string, 0, 16)
	for _, e := range environ {
		name, _, ok := strings.Cut(e, "=")
		if !ok {
			continue
		}
		switch name {
		case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR":
		default:
			if !strings.HasPrefix(name, "LC_") {
				continue
			}
		}
		kept = append(kept, e)
	}
	return append(kept, extra...)
}
