package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// bindUnix binds a socket, for those who may connect. Nobody can before it is listened on. A
// socket that a dead daemon left is replaced. made are the directories that it takes. flag has
// named the path.
func bindUnix(flag, path string, a access) (f *os.File, made []string, err error) {
	if err := telnet.CheckSocketPath(path); err != nil {
		return nil, nil, err
	}
	if made, err = makeSocketDir(flag, filepath.Dir(path)); err != nil {
		return nil, nil, err
	}
	if err := clearStale(flag, path); err != nil {
		return nil, nil, err
	}
	if f, err = unixSocket(path); err != nil {
		return nil, nil, err
	}
	err = unix.Bind(int(f.Fd()), &unix.SockaddrUnix{Name: path})
	if err == nil {
		if err = a.give(path); err != nil {
			os.Remove(path)
		}
	}
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("bind %s: %w", path, err)
	}
	return f, made, nil
}

// unixSocket is a socket that has no place yet.
func unixSocket(path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

func listen(f *os.File) error {
	if err := unix.Listen(int(f.Fd()), unix.SOMAXCONN); err != nil {
		return fmt.Errorf("listen on %s: %w", f.Name(), err)
	}
	return nil
}

func isListening(f *os.File) (bool, error) {
	listens, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return listens != 0, os.NewSyscallError("getsockopt", err)
}

// door is a way in over TCP.
type door struct {
	flag    string // that names its address
	example string
	risk    string // of one that is not on this machine
}

var (
	telnetDoor = door{"listen", "127.0.0.1:2323",
		"telnet is clear text, so whoever is on the way can read the secret and everything else"}
	metricsDoor = door{"metrics", "127.0.0.1:9555, or unix:PATH",
		"there is no secret, so whoever reaches it is told the names of all processes, how they are and what they use"}
)

// resolve is the address to listen on, if that is one that may be.
func (d door) resolve(address string, allowRemote bool) (*net.TCPAddr, error) {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-%s %s: %w; HOST:PORT is expected, such as %s", d.flag, address, err, d.example)
	}
	if !addr.IP.IsLoopback() && !allowRemote {
		return nil, fmt.Errorf("-%s %s is not a loopback address: %s; use 127.0.0.1 behind a tunnel such as ssh -L, or add -allow-remote", d.flag, address, d.risk)
	}
	return addr, nil
}

// listen listens on an address. What is not on this machine is refused unless it was asked for.
func (d door) listen(address string, allowRemote bool, logger *log.Logger) (*os.File, error) {
	addr, err := d.resolve(address, allowRemote)
	if err != nil {
		return nil, err
	}
	if !addr.IP.IsLoopback() {
		logger.Printf("listening on %s: %s", addr, d.risk)
	}
	network := "tcp"
	if addr.IP.To4() != nil {
		network = "tcp4" // 0.0.0.0 is not [::]
	}
	l, err := net.ListenTCP(network, addr)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("-%s %s: another process listens there (ss -ltnp shows which): end it, or give another port: %w", d.flag, addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("-%s: %w", d.flag, err)
	}
	defer l.Close() // the copy stays
	if d.flag == metricsDoor.flag {
		logger.Printf("metrics are at http://%s/metrics", l.Addr())
	} else {
		logger.Printf("listening on %s", l.Addr())
	}
	return l.File()
}

// makeSocketDir makes the directory of the socket, if it is missing, with those above it, and
// makes sure that nobody else can put another socket in the place of ours. It may be /tmp.
func makeSocketDir(flag, dir string) (made []string, err error) {
	err = private.CheckParent(dir)
	if errors.Is(err, fs.ErrNotExist) {
		for missing := dir; !isThere(missing); missing = filepath.Dir(missing) {
			made = append(made, missing)
		}
		_, err = private.MakeDir(dir)
	}
	if _, wrong := errors.AsType[*private.Error](err); wrong {
		return nil, fmt.Errorf("the directory of the socket cannot be trusted: %w; or give another path with -socket", err)
	}
	return made, err
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// clearStale removes a socket on which nobody listens. What another user has put there,
// as everybody can in /tmp, is moved aside.
func clearStale(flag, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket && !private.IsOurs(info):
		return moveAside(flag, path)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is not a socket: remove it, or give another path with -%s", path, flag)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		defer conn.Close()
		if uid, err := telnet.PeerUID(conn); err == nil && uid != 0 && uid != os.Geteuid() {
			return moveAside(flag, path)
		}
		return fmt.Errorf("somebody listens on %s already: end that daemon, or give another path with -%s", path, flag)
	}
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	case !private.IsOurs(info):
		return moveAside(flag, path)
	}
	return fmt.Errorf("somebody may be listening on %s: %w", path, err)
}

// moveAside renames what another user has put at path, and destroys nothing.
func moveAside(flag, path string) error {
	if err := os.Rename(path, path+".moved-aside-"+rand.Text()); err != nil {
		return fmt.Errorf("another user has put something at %s, and it cannot be moved aside (%w): give another path with -%s", path, err, flag)
	}
	return nil
}
