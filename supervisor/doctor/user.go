package doctor

import (
	"fmt"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What mends something for an ordinary user is mostly for root to do. Behind these words, and a
// colon, stands a line for a shell.
const (
	asRoot      = "as root: "
	asRootAnew  = "as root, which ends what the user runs: "
	asRootLimit = "as root, which ends what the user runs (a shell has the new limit after a new login): "
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
func (u *UserManager) delegation() string {
	return asRootAnew + u.change("user@.service", "delegate", delegate)
}

// raise gives the user's instance, and so its units, another limit. Systemd sets it before it calls
// PAM, and pam_limits, where the instance has that, sets it anew: both are told.
func (u *UserManager) raise(limit, value string) string {
	const dir = "/etc/security/limits.d"
	name := strings.ToLower(limit)
	return asRootLimit + fmt.Sprintf("mkdir -p %[1]s && echo '%[2]s - %[3]s %[4]s' >%[1]s/processmanager-%[2]s-%[3]s.conf && ", dir, u.User, name, value) +
		u.change(u.Unit, name, "Limit"+limit+"="+value)
}

// change has systemd run a unit with other settings, and the user's instance anew.
func (u *UserManager) change(unit, name, settings string) string {
	return fmt.Sprintf(`mkdir -p %[1]s && printf '[Service]\n%[2]s\n' >%[1]s/processmanager-%[3]s.conf && systemctl daemon-reload && %[4]s`,
		"/etc/systemd/system/"+unit+".d", settings, name, u.restart())
}

func (u *UserManager) restart() string { return "systemctl restart " + u.Unit }
