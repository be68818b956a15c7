package doctor

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

func (e *exam) socket() []process.Finding {
	const subject = "socket"
	if e.Socket == "" {
		return nil
	}
	if telnet.CheckSocketPath(e.Socket) != nil {
		return one(subject, process.LevelProblem, "give a shorter path with -socket", "the path %s has %d bytes, and the kernel takes %d", e.Socket, len(e.Socket), telnet.MaxSocketPath)
	}
	if wrong, ok := errors.AsType[*private.Error](private.CheckParent(filepath.Dir(e.Socket))); ok {
		return distrust(subject, "-socket", wrong)
	}
	var st unix.Stat_t
	switch err := unix.Lstat(e.Socket, &st); {
	case errors.Is(err, fs.ErrNotExist):
		return one(subject, process.LevelOK, "", "%s is not there yet; %s will be able to connect", e.Socket, e.withOthers(owner(uint32(os.Geteuid()))))
	case err != nil:
		return unread(subject, &fs.PathError{Op: "lstat", Path: e.Socket, Err: err})
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return one(subject, process.LevelProblem, "remove it, or give another path with -socket", "%s is there and is not a socket", e.Socket)
	}
	who, open := owner(st.Uid), st.Mode&(unix.S_IWGRP|unix.S_IWOTH) != 0 // connecting takes the right to write
	if open && e.Others != "" {
		return one(subject, process.LevelOK, "", "%s can connect to %s", e.withOthers(who), e.Socket)
	}
	if open {
		who += ", and others by its mode " + strconv.FormatUint(uint64(st.Mode&0o777), 8) + ", who know the secret,"
	}
	return one(subject, noteIf(open), "chmod 600 "+e.Socket, "%s can connect to %s", who, e.Socket)
}

// withOthers adds those who are let in on purpose.
func (e *exam) withOthers(who string) string {
	if e.Others == "" {
		return who
	}
	return who + ", and " + e.Others + " with the secret,"
}

// owner is who may connect to a socket of uid that is closed to others.
func owner(uid uint32) string {
	if uid == 0 {
		return "root"
	}
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		id = u.Username
	}
	return "user " + id + " and root"
}

func (e *exam) listener() []process.Finding {
	const subject = "listen"
	if e.Listen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(e.Listen)
	if err != nil {
		return one(subject, process.LevelProblem, "give HOST:PORT with -listen, such as 127.0.0.1:2323", "%v", err)
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return one(subject, process.LevelOK, "", "every user of this machine who knows the secret can connect to %s", e.Listen)
	}
	return one(subject, process.LevelNote, "-listen 127.0.0.1:"+port+", and ssh -L from elsewhere",
		"everybody who reaches %s and knows the secret can connect, and it travels in clear text", e.Listen)
}
