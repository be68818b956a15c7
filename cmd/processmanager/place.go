package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
)

// places are where a daemon works. They go from the keeper to the worker.
type places struct {
	Socket  string
	Runtime string // directory of the FIFOs
	State   string // directory of the store and the logs
	Cgroup  string // the delegated root
	Listen  string // HOST:PORT for telnet clients; empty: none
}

// place is the daemon's hold on its places: what it has locked, made and bound.
type place struct {
	places
	secret     []byte
	secretFile string // made by us; empty if not
	idle       time.Duration
	listeners  []*os.File
	locks      []*os.File
	groups     *groups
	made       []string // directories, while the start may fail
}

// defaults fills in what was not given. Another state directory is another
// instance: its runtime directory follows from it.
func (p *places) defaults() error {
	ownState := p.State != ""
	if !ownState {
		p.State = stateDir()
	}
	if p.Runtime == "" {
		if p.Runtime = client.RuntimeDir(); ownState {
			p.Runtime = filepath.Join(p.State, "run")
		}
	}
	if p.Socket == "" {
		p.Socket = client.SocketIn(p.Runtime)
	}
	for _, path := range []*string{&p.State, &p.Runtime, &p.Socket} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	return nil
}

func stateDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/processmanager"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return dir + "/processmanager"
	}
	return os.Getenv("HOME") + "/.local/state/processmanager"
}

// openPlace takes hold of everything, or says who else has it.
func openPlace(o options, logger *log.Logger) (p *place, err error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	p = &place{places: o.places, idle: o.idle}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.leave())
		}
		p.made = nil
	}()
	madeState, err := makeDir(p.State)
	if err != nil {
		return p, err
	}
	lock, err := lockState(p.State)
	if err != nil {
		return p, err // the directory is another's now, whoever made it
	}
	p.locks = append(p.locks, lock)
	if madeState {
		p.made = append(p.made, p.State)
	}
	madeRuntime, err := makeDir(p.Runtime)
	if err != nil {
		return p, err
	}
	if madeRuntime {
		p.made = append(p.made, p.Runtime)
	}
	if err := o.prepareStore(logger); err != nil {
		return p, err
	}
	if p.groups, err = openGroups(&p.places); err != nil {
		return p, err
	}
	if p.groups.shared {
		logger.Printf("there are processes of others in %s, so there are no controllers for runs: give a group of its own with -cgroup", p.Cgroup)
	}
	p.locks = append(p.locks, p.groups.lock)
	listener, err := bindUnix(p.Socket)
	if err != nil {
		return p, err
	}
	p.listeners = append(p.listeners, listener)
	// Who can connect finds the secret.
	o.Socket = p.Socket
	if p.secret, p.secretFile, err = findSecret(o); err != nil {
		return p, err
	}
	if p.secretFile != "" {
		logger.Printf("the secret was made: %s", p.secretFile)
	}
	if err := unix.Listen(int(listener.Fd()), unix.SOMAXCONN); err != nil {
		return p, fmt.Errorf("listen on %s: %w", p.Socket, err)
	}
	if o.Listen != "" {
		if listener, err = listenTCP(o.Listen, o.allowRemote, logger); err != nil {
			return p, err
		}
		p.listeners = append(p.listeners, listener)
	}
	return p, nil
}

// makeDir makes a directory, and says whether it was not there.
func makeDir(dir string) (made bool, err error) {
	_, err = os.Stat(dir)
	return errors.Is(err, fs.ErrNotExist), os.MkdirAll(dir, 0o700)
}

// lockState makes sure that this is the only daemon of a state directory.
func lockState(dir string) (*os.File, error) {
	path := dir + "/lock"
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			holder, _ := os.ReadFile(path)
			return nil, fmt.Errorf("the state directory %s is in use by the daemon with pid %s; give another one with -state, or end that daemon",
				dir, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	locked, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if there, _ := os.Stat(path); !os.SameFile(locked, there) { // a failed start has removed it
		f.Close()
		return lockState(dir)
	}
	if err := f.Truncate(0); err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	return f, err
}

// instance is what a state directory remembers of its daemon.
type instance struct {
	ID       string // of the group: processmanager-<ID>
	Root     string // the delegated root
	MadeRoot bool   // a daemon of this instance made it, the one that ends in order removes it
}

// loadInstance reads or makes the instance of a state directory.
func loadInstance(dir string) (in instance, err error) {
	data, err := os.ReadFile(dir + "/instance.json")
	if errors.Is(err, fs.ErrNotExist) {
		return instance{ID: strings.ToLower(rand.Text()[:12])}, nil
	}
	if err != nil {
		return in, err
	}
	err = json.Unmarshal(data, &in)
	if err == nil && in.ID == "" {
		err = errors.New("it holds no ID")
	}
	if err != nil {
		return in, fmt.Errorf("%s/instance.json is damaged (%v): remove it if no daemon of this directory has left trees running", dir, err)
	}
	return in, nil
}

func (in instance) save(dir string) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	tmp := dir + "/instance.json.new"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, dir+"/instance.json")
}

// leave gives back what was taken, in the reverse order. What a failed start has made
// goes too.
func (p *place) leave() error {
	var err error
	if p.secretFile != "" {
		err = remove(p.secretFile)
	}
	for _, l := range p.listeners {
		l.Close()
	}
	if len(p.listeners) > 0 {
		err = errors.Join(err, remove(p.Socket))
	}
	if p.groups != nil {
		err = errors.Join(err, p.groups.leave())
	}
	for _, dir := range slices.Backward(p.made) {
		os.Remove(dir + "/lock")
		os.Remove(dir)
	}
	for _, l := range p.locks { // last: what is locked is ours
		l.Close()
	}
	return err
}

// remove removes a file that somebody else may have removed already.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
