package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Modes of the daemon's socket. To connect takes the right to write, and who may read alone
// is not let in.
const (
	ModeOwner     fs.FileMode = 0o600
	ModeGroup     fs.FileMode = 0o660
	ModeEverybody fs.FileMode = 0o666
)

func parseMode(text string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	switch m := fs.FileMode(mode); {
	case err != nil:
	case m == ModeOwner, m == ModeGroup, m == ModeEverybody:
		return m, nil
	}
	return 0, errors.New("0600 (the daemon's user and root), 0660 (and a group, see socket-group) or 0666 (every user of this machine who knows the secret) is expected")
}

// GroupID is the number of a group that goes by a name or a number.
func GroupID(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		name = g.Gid
	} else if _, notANumber := strconv.ParseUint(name, 10, 31); notANumber != nil {
		return 0, fmt.Errorf("there is no group %s: name one of /etc/group, or make it with groupadd", process.Printable(name))
	}
	return strconv.Atoi(name)
}

// Access is the mode that the socket gets. A group that was named is let in.
func (o *Options) Access() (fs.FileMode, error) {
	switch {
	case o.SocketMode == ModeOwner && o.SocketGroup != "":
		return 0, errors.New("it lets in no group, so socket-group has no effect: say 0660, or leave one of them out")
	case o.SocketMode != 0:
		return o.SocketMode, nil
	case o.SocketGroup != "":
		return ModeGroup, nil
	}
	return ModeOwner, nil
}
