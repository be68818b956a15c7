package doctor

import (
	"fmt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What mends something for an ordinary user is mostly for root to do. Behind these words, and a
// colon, stands a line for a shell.
const (
	asRoot      = "as root: "
	asRootAnew  = "as root, which ends what the user runs: "
	asRootLimit = "as root, which ends what the user runs (a daemon that a shell has started has the limits of the shell): "
)

// lingering: without it systemd ends whatever it runs for a user with his last session.
func (e *exam) lingering() []process.Finding {
	const subject = "lingering"
	switch u := e.User; {
	case u == nil || !u.Runs: // root, or delegated root, says it
		return nil
	case u.Lingers:
		return one(subject, process.LevelOK, "", "the processes of %s live on after his last session, and what starts by itself does so when the machine boots", u.User)
	default:
		return one(subject, process.LevelNote, u.linger(), "the daemon and all processes end soon after the last session of %s", u.User)
	}
}

func (u *UserManager) linger() string { return asRoot + "loginctl enable-linger " + u.User }

// delegation gives the user's instance all controllers that we use, and it them to its units.
func (u *UserManager) delegation() string { return asRootAnew + u.change("delegate", delegate) }

// raise gives it, and so its units, the limits of an ordinary process of systemd's.
func (u *UserManager) raise() string {
	return asRootLimit + u.change("limits", `LimitNOFILE=65536\nLimitNPROC=infinity`)
}

// change has systemd run the user's instance with other settings, from its next start on.
func (u *UserManager) change(name, settings string) string {
	const dir = "/etc/systemd/system/user@.service.d"
	return fmt.Sprintf(`mkdir -p %[1]s && printf '[Service]\n%[2]s\n' >%[1]s/processmanager-%[3]s.conf && systemctl daemon-reload && %[4]s`,
		dir, settings, name, u.restart())
}

func (u *UserManager) restart() string { return "systemctl restart " + u.Unit }
