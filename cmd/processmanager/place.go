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
			err = errors.Join(err, p.leave(false))
		}
		p.made = nil
	}()
	for _, d := range []struct {
		dirKind
		path string
	}{{stateKind, p.State}, {runtimeKind, p.Runtime}} {
		lock, made, err := d.take(d.path)
		if err != nil {
			return p, err // the directory is another's now, whoever made it
		}
		p.locks = append(p.locks, lock)
		if made {
			p.made = append(p.made, d.path)
		}
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
	p.locks = append(p.locks, p.groups.locks...)
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
// goes too. The groups go if all runs were ended, else only those that this start made.
func (p *place) leave(ended bool) error {
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
		err = errors.Join(err, p.groups.leave(ended))
	}
	for _, dir := range slices.Backward(p.made) {
		os.Remove(dir + "/" + stateKind.lock)
		os.Remove(dir + "/" + runtimeKind.lock)
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
