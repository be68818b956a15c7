package main

import (
	"errors"
	"io"
	"log"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/config"
	"github.com/freeflowuniverse/processmanager/supervisor/files"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
)

// mendDelay is between two tries to make a file that cannot be made.
const mendDelay = 5 * time.Second

// mender is a file that the keeper makes again when others have deleted it, or a door for
// which it waits. mend looks whether the file is as it should be, makes it if it is not,
// and says whether it did.
type mender struct {
	path     string
	mend     func() (mended bool, err error)
	listener int    // the index of the one that mend makes, counted from 1; 0: none
	told     string // the error that was said last
}

// tryMend is mend with a border around it: the keeper is to live whatever a file does to us.
func (m *mender) tryMend() (mended bool, err error) {
	defer border.Catch(func(fault *border.Panic) { mended, err = false, fault })
	return m.mend()
}

// guard begins to make again what others delete: the locks of the
// directories, the identity in one of them, the socket and the secret beside it. renewed tells of a new socket, which
// has taken the descriptor of the former one; stop ends it all and waits for that.
func (p *place) guard(logger *log.Logger) (renewed <-chan int, stop func()) {
	var menders []*mender
	for _, d := range p.dirs {
		menders = append(menders, &mender{path: d.lockPath(), mend: d.mendLock})
	}
	menders = append(menders, &mender{path: instancePath(p.State), mend: p.mendInstance})
	if p.secretFile != "" { // before the socket: who can connect finds it
		menders = append(menders, &mender{path: p.secretFile, mend: p.mendSecret})
	}
	if !p.handed {
		menders = append(menders, &mender{path: p.Socket, mend: p.mendUnix(0, "socket", p.Socket, &p.socketFile), listener: 1})
	}
	if p.Listen != "" {
		menders = append(menders, &mender{path: p.Listen, mend: p.mendTCP(1, telnetDoor, p.Listen), listener: 2})
	}
	if i := scrapeIndex(p.places); i > 0 {
		m := &mender{path: p.Metrics, mend: p.mendTCP(i, metricsDoor, p.Metrics), listener: i + 1}
		if path, is := config.MetricsPath(p.Metrics); is {
			m.path, m.mend = path, p.mendUnix(i, "metrics", path, &p.scrapeFile)
		}
		menders = append(menders, m)
	}
	g := files.NewGuard()
	told, quit, ended := make(chan int), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer g.Close()
		watch := p.groups.watchHolder()
		defer func() { watch.stop() }()
		for {
			var again <-chan time.Time
			for _, m := range menders {
				// What is followed before it is looked at cannot go unseen.
				m.follow(g)
				mended, err := m.tryMend()
				if mended {
					m.follow(g)
				}
				m.say(logger, mended, err)
				if err != nil {
					again = time.After(mendDelay)
				}
				if mended && m.listener > 0 {
					select {
					case told <- m.listener - 1:
					case <-quit:
						return
					}
				}
			}
			select {
			case <-g.Touched():
			case <-again:
			case <-watch.gone:
				watch.stop()
				watch = p.renewHolder(logger)
			case <-quit:
				return
			}
		}
	}()
	return told, func() {
		close(quit)
		<-ended
	}
}

// isFile tells a path from HOST:PORT.
func (m *mender) isFile() bool { return filepath.IsAbs(m.path) }

func (m *mender) follow(g *files.Guard) {
	if m.isFile() {
		g.FollowData(m.path)
	}
}

// say tells what was done, and once what cannot be done.
func (m *mender) say(logger *log.Logger, mended bool, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case err != nil && mended && text != m.told:
		warning(logger).Printf("%s was not there any more and was made again, but: %v", m.path, err)
	case err != nil && text != m.told && m.isFile():
		warning(logger).Printf("%s is not there any more and cannot be made again: %v", m.path, err)
	case err != nil && text != m.told:
		warning(logger).Printf("nobody can connect to %s: %v; it is tried again", m.path, err)
	case mended && m.isFile():
		warning(logger).Printf("%s was not there any more: it was made again", m.path)
	case mended:
		logger.Printf("listening on %s", m.path)
	}
	m.told = text
}

func (d *heldDir) mendLock() (bool, error) {
	if isAt(d.lock, d.lockPath()) {
		return false, nil
	}
	next := heldDir{d.dirKind, d.path, nil}
	if _, err := next.take(); err != nil {
		return false, err
	}
	return true, takePlace(d.lock, next.lock)
}

func (p *place) mendInstance() (bool, error) {
	if in, err := loadInstance(p.State); err == nil && in == p.groups.identity() {
		return false, nil
	}
	if _, err := private.MakeDir(p.State); err != nil {
		return false, err
	}
	return true, p.groups.identity().save(p.State)
}

// mendUnix makes the socket again at the path that a flag has named, if the file there is not
// that of the i-th listener any more.
func (p *place) mendUnix(i int, flag, path string, file *fileID) func() (bool, error) {
	return func() (bool, error) {
		if *file != (fileID{}) && *file == fileAt(path) {
			return false, nil
		}
		socket, made, err := bindUnix(flag, path, p.access) // what somebody else has put there stays
		if err != nil {
			return false, err
		}
		shut := p.letIn(flag, path, made) // root is answered though others are kept out on the way
		if err := listen(socket); err != nil {
			socket.Close()
			return false, err
		}
		*file = fileAt(path)
		return true, errors.Join(takePlace(p.listeners[i], socket), shut)
	}
}

// mendTCP waits for an address that another process had when the daemon came back.
func (p *place) mendTCP(i int, of door, address string) func() (bool, error) {
	return func() (bool, error) {
		former := p.listeners[i]
		if listens, err := isListening(former); listens || err != nil {
			return false, err
		}
		f, err := of.listen(address, true, log.New(io.Discard, "", 0)) // it was allowed at the start
		if err != nil {
			return false, err
		}
		return true, takePlace(former, f)
	}
}

func (p *place) mendSecret() (bool, error) {
	if there := formerSecret(p.secretFile); string(there) == string(p.secret) {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(p.secretFile), 0o700); err != nil {
		return false, err
	}
	return true, keepSecret(p.secretFile, p.secret)
}

// takePlace makes f what former is, and closes f: whoever holds former has the new one.
func takePlace(former, f *os.File) error {
	defer f.Close()
	// The keeper may be about to take its descriptors through an exec.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.NewSyscallError("dup3", unix.Dup3(int(f.Fd()), int(former.Fd()), unix.O_CLOEXEC))
}

// fileID tells a file from every other that is there at the time.
type fileID struct{ dev, ino uint64 }

// fileAt is the file at path, itself if it is a link; zero if there is none.
func fileAt(path string) fileID {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return fileID{}
	}
	return fileID{uint64(st.Dev), st.Ino}
}

// isOurs reports whether this very process listens on the socket at path.
func isOurs(path string) bool {
	f, err := unixSocket(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if unix.Connect(int(f.Fd()), &unix.SockaddrUnix{Name: path}) != nil {
		return false
	}
	peer, err := unix.GetsockoptUcred(int(f.Fd()), unix.SOL_SOCKET, unix.SO_PEERCRED)
	return err == nil && int(peer.Pid) == os.Getpid()
}
