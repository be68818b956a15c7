package main

import (
	"fmt"
	"os"
	"os/user"
	"regexp"
	"strconv"

	"github.com/freeflowuniverse/processmanager/supervisor/config"
	"github.com/freeflowuniverse/processmanager/supervisor/doctor"
	"github.com/freeflowuniverse/processmanager/supervisor/systemd"
)

// lingerDir is where systemd notes the users who linger: their instance of it is there from the
// boot on, and not only while they have a session.
const lingerDir = "/var/lib/systemd/linger"

func lingers(name string) bool {
	_, err := os.Stat(lingerDir + "/" + name)
	return err == nil
}

// userName is the name of this user, or his number where the name is none to put into a command.
func userName() string {
	id := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(id); err == nil && plainName.MatchString(u.Username) {
		return u.Username
	}
	return id
}

var plainName = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]*$`)

// missesManager says that a daemon would ask an ordinary user's systemd for a scope, and there is
// none. Then there is no runtime directory either.
func missesManager(p config.Places) error {
	host, asked := scopeGiver()
	if !asked || p.Cgroup != "" || host.Runs() || recordedRoot(p.State) != "" {
		return nil
	}
	return fmt.Errorf("systemd runs nothing for user %[1]s, so there is no group for the processes: as root, loginctl enable-linger %[1]s, then start the daemon again", userName())
}

// userManager is what the doctor is told of an ordinary user's instance of systemd; nil where the
// processes are, or will be, in no group of it.
func userManager(host systemd.Manager, root string) *doctor.UserManager {
	if host.User == "" || !host.Holds(root) {
		return nil
	}
	name := userName()
	return &doctor.UserManager{User: name, Unit: "user@" + host.User + ".service", Runs: host.Runs(), Lingers: lingers(name)}
}
