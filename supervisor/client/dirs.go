package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// dirName is the name of our directory in each of the places.
const dirName = "/processmanager"

// RuntimeDir is where a daemon of this user keeps its socket: /run/processmanager for root,
// processmanager under $XDG_RUNTIME_DIR for others. That of somebody else, which su leaves in
// the environment, is not taken.
func RuntimeDir() string { return runtimeDir(os.Geteuid()) }

func runtimeDir(uid int) string {
	if uid == 0 {
		return "/run" + dirName
	}
	own := fmt.Sprintf("/run/user/%d", uid)
	dir := xdgDir("XDG_RUNTIME_DIR", own)
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); errors.Is(err, fs.ErrPermission) || err == nil && int(st.Uid) != uid {
		dir = own
	}
	return dir + dirName
}

// StateDir is where a daemon of this user keeps what must outlive it: /var/lib/processmanager
// for root, processmanager under $XDG_STATE_HOME (~/.local/state) for others.
func StateDir() string { return stateDir(os.Geteuid()) }

func stateDir(uid int) string {
	if uid == 0 {
		return "/var/lib" + dirName
	}
	return xdgDir("XDG_STATE_HOME", home(uid)+"/.local/state") + dirName
}

// ConfigDir is where this user puts definitions, and the secret: /etc/processmanager for root,
// processmanager under $XDG_CONFIG_HOME (~/.config) for others.
func ConfigDir() string { return configDir(os.Geteuid()) }

func configDir(uid int) string {
	if uid == 0 {
		return "/etc" + dirName
	}
	return xdgDir("XDG_CONFIG_HOME", home(uid)+"/.config") + dirName
}

// xdgDir is what a variable of the XDG base directories says. A path that is not absolute does
// not count there.
func xdgDir(variable, otherwise string) string {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Clean(dir)
	}
	return otherwise
}

// home is the home directory, also for who was started without $HOME.
func home(uid int) string {
	if dir := os.Getenv("HOME"); dir != "" {
		return dir
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.HomeDir
	}
	return ""
}
