package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/config"
	"github.com/freeflowuniverse/processmanager/supervisor/doctor"
	"github.com/freeflowuniverse/processmanager/supervisor/files"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// places are where a daemon works. They go from the keeper to the worker.
type places = config.Places

// place is the daemon's hold on its places: what it has locked, made and bound.
type place struct {
	places
	secret     []byte
	secretFile string // made by us; empty if not
	access     access // to the Unix socket
	held       config.Held
	idle       time.Duration
	limits     process.Limits // of all runs together
	standsFor  string         // the process with which the daemon ends; empty: none
	listeners  []*os.File     // the Unix socket first, then those of the flags listen and metrics, if they are given
	socketFile fileID         // of the first; zero: there is none of ours
	scrapeFile fileID         // the same of that for metrics
	handed     bool           // that is systemd's
	dirs       []*heldDir     // each with its lock
	locks      []*os.File     // all
	groups     *groups
	former     []keeper.Held // what an earlier daemon has left alive
	made       []string      // directories, while the start may fail
	host       hostLink
	terminal   keeper.Terminal
	hangs      bool // the worker cannot end: a disk hangs, which must not hold us up too
}

// openPlace takes hold of everything, or says who else has it.
func openPlace(o options, logger *log.Logger) (p *place, err error) {
	handed, path, err := handedSocket(os.Getenv)
	if err != nil {
		return nil, err
	}
	switch {
	case handed == nil:
	case o.Socket == "":
		o.Socket = path
	case o.Socket != path:
		return nil, fmt.Errorf("systemd has handed over the socket %s, and -socket is %s: leave -socket out", path, o.Socket)
	}
	if err := o.Fill(); err != nil {
		return nil, err
	}
	if err := missesManager(o.Places); err != nil {
		return nil, err
	}
	let, err := accessOf(&o)
	if handed != nil && err == nil {
		if o.SocketMode != 0 || o.SocketGroup != "" {
			warning(logger).Print("socket-mode and socket-group have no effect: systemd holds the socket, and SocketMode= and SocketGroup= of its unit decide")
		}
		let, err = accessTo(path)
	}
	if err != nil {
		return nil, err
	}
	p = &place{places: o.Places, access: let, idle: o.Idle, limits: o.Limits, standsFor: o.ExitWith, handed: handed != nil}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.leave(false))
		}
		p.made = nil
		if p.groups != nil {
			p.groups.madeScope = false
		}
	}()
	known := knownState(p.State)
	for _, d := range []*heldDir{{stateKind, p.State, nil}, {runtimeKind, p.Runtime, nil}} {
		made, err := d.take()
		if known && unwritable(err) {
			warning(logger).Printf("the %s directory is not locked: %v; it is tried again", d.name, err)
			d.lock, err = os.Open(os.DevNull) // in its place
		}
		if err != nil {
			return p, err // the directory is another's now, whoever made it
		}
		p.dirs = append(p.dirs, d)
		p.locks = append(p.locks, d.lock)
		if made {
			p.made = append(p.made, d.path)
		}
	}
	endHung(p.State, logger)
	if err := prepareStore(&o, logger); err != nil {
		return p, err
	}
	if p.groups, err = openGroups(&p.places, logger); err != nil {
		return p, err
	}
	if h := p.groups.hierarchy; h.Kind == cgroup.Private {
		logger.Printf("nobody else has mounted cgroup v2: it is mounted on %s", h.Mount)
	}
	lacks := doctor.Lacks(p.groups.runs().Missing())
	if p.groups.shared {
		pids, _ := p.groups.root.Own()
		warning(logger).Printf("there are processes of others in %s (pids %v), so there are no controllers for runs: give a group of its own with -cgroup", p.Cgroup, pids)
	} else if lacks != "" {
		warning(logger).Print(lacks)
	}
	if p.groups.foreign != nil {
		warning(logger).Printf("others can end or hold all runs, for the daemon works in a group of theirs: %v, or give another one with -cgroup", p.groups.foreign)
	}
	p.locks = append(p.locks, p.groups.locks...)
	if err := p.checkLimits(); err != nil {
		return p, err
	}
	// Nobody is made to wait behind a socket for a daemon that cannot look after its runs.
	if p.former, err = supervisor.Former(p.Runtime, p.groups.runs()); err != nil {
		return p, fmt.Errorf("the runs of an earlier daemon are left alone: %w", err)
	}
	listener, made := handed, []string(nil)
	if handed == nil {
		listener, made, err = bindUnix("socket", p.Socket, p.access)
	}
	if known && unwritable(err) {
		warning(logger).Printf("nobody can connect to %s: %v; it is tried again", p.Socket, err)
		listener, err = unixSocket(p.Socket) // in its place
	} else if err == nil && handed == nil {
		p.socketFile = fileAt(p.Socket)
	}
	if err != nil {
		return p, err
	}
	p.listeners = append(p.listeners, listener)
	err = p.letIn("socket", p.Socket, made)
	if known && unwritable(err) {
		warning(logger).Printf("%s may not reach %s: %v", p.access.who(), p.Socket, err)
		err = nil
	}
	if err != nil {
		return p, err
	}
	if p.access.others() {
		logger.Printf("%s can connect to %s; whoever knows the secret can do there what this daemon's user can", p.access.who(), p.Socket)
	}
	if p.access.bares(p.Definitions, p.State) {
		warning(logger).Printf("every user of this machine can read the definitions in %s, and the secrets in them: chmod go-rwx %[1]s", p.Definitions)
	}
	// Who can connect finds the secret.
	o.Socket = p.Socket
	p.secret, p.secretFile, err = findSecret(o)
	if known && unwritable(err) {
		warning(logger).Printf("the secret is not kept: %v; it is tried again", err)
		err = nil
	}
	if err != nil {
		return p, err
	}
	if p.secretFile != "" {
		logger.Printf("the secret was made: %s", p.secretFile)
	}
	if info, err := os.Stat(o.SecretFile); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
		warning(logger).Printf("every user of this machine can read the secret: chmod 600 %s", o.SecretFile)
	}
	if p.socketFile != (fileID{}) {
		if err := listen(listener); err != nil {
			return p, err
		}
	}
	if o.Listen != "" {
		listener, err = telnetDoor.listen(o.Listen, o.AllowRemote, logger)
		if known && errors.Is(err, unix.EADDRINUSE) { // any user may have taken it meanwhile
			listener, err = unixSocket(o.Listen) // in its place
		}
		if err != nil {
			return p, err
		}
		p.listeners = append(p.listeners, listener)
	}
	return p, p.openMetrics(known, o.AllowRemote, logger)
}

// openMetrics listens for scrapes, if that is asked for. known is as knownState has it.
func (p *place) openMetrics(known, allowRemote bool, logger *log.Logger) error {
	if p.Metrics == "" {
		return nil
	}
	path, isPath := config.MetricsPath(p.Metrics)
	if !isPath {
		listener, err := metricsDoor.listen(p.Metrics, allowRemote, logger)
		if known && errors.Is(err, unix.EADDRINUSE) {
			warning(logger).Printf("%v; it is tried again", err)
			listener, err = unixSocket(p.Metrics) // in its place
		}
		if err != nil {
			return err
		}
		p.listeners = append(p.listeners, listener)
		return nil
	}
	listener, made, err := bindUnix("metrics", path, p.access)
	if known && unwritable(err) {
		warning(logger).Printf("nobody can connect to %s: %v; it is tried again", path, err)
		listener, err = unixSocket(path) // in its place
	} else if err == nil {
		p.scrapeFile = fileAt(path)
	}
	if err != nil {
		return err
	}
	p.listeners = append(p.listeners, listener)
	if p.scrapeFile == (fileID{}) {
		return nil
	}
	if err := errors.Join(p.letIn("metrics", path, made), listen(listener)); err != nil {
		return err
	}
	logger.Printf("metrics are at %s", path)
	return nil
}

// scrapeIndex is where among the listeners that for metrics is; -1: there is none.
func scrapeIndex(p places) int {
	switch {
	case p.Metrics == "":
		return -1
	case p.Listen == "":
		return 1
	}
	return 2
}

// letIn lets those through to a socket who may connect. made are directories that were made
// for that; flag has named the path.
func (p *place) letIn(flag, path string, made []string) error {
	return p.access.letIn(flag, path, append(made, p.Runtime, p.State)...)
}

// knownState reports whether a daemon of a state directory may have left something to
// go on with. For that one start must not fail because nothing can be written.
func knownState(dir string) bool {
	info, err := os.Stat(instancePath(dir))
	return err == nil && info.Size() > 0
}

// unwritable reports whether err is of a file system that takes nothing new.
func unwritable(err error) bool {
	return errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// instance is what a state directory remembers of its daemon.
type instance struct {
	ID       string // of the group: processmanager-<ID>
	Root     string // the delegated root
	MadeRoot bool   // a daemon of this instance made it, the one that ends in order removes it
	From     view   `json:",omitzero"` // where Root leads to that group; zero: a former version wrote it

	Scope  string  `json:",omitempty"` // the name of Root, if systemd made it for this instance
	Holder proc.ID `json:",omitzero"`  // the process that keeps the scope alive
}

// view is where the cgroup tree is seen from.
type view struct {
	cgroup.View
	Boot string `json:",omitempty"` // of the machine; a view from the host is the same after the next
}

func viewOf(h *cgroup.Hierarchy) (v view, err error) {
	if v.View, err = h.View(); err == nil && !v.IsHost() {
		v.Boot, err = proc.BootID("/proc")
	}
	return v, err
}

// root is the group at the path of the recorded root, if there is any, as seen from v. ok
// says that it is the one that was recorded. The path alone could lead to another group from another cgroup namespace: the
// root of a container is called as that of the host. Only the instance's own group has a
// name that no other has. Where a former version has not recorded the view, any root but
// the topmost group will do.
func (in instance) root(h *cgroup.Hierarchy, v view) (root cgroup.Group, ok bool, err error) {
	if in.Root == "" {
		return root, false, nil
	}
	root = h.Group(in.Root)
	if there, err := root.Exists(); !there || err != nil {
		return cgroup.Group{}, false, err
	}
	own, err := root.Child(instancePrefix + in.ID).Exists()
	ok = own || in.From == v || in.From == view{} && root != h.Group("/")
	return root, ok, err
}

// recordedRoot is the root that the next daemon of a state directory takes up; empty if
// there is none.
func recordedRoot(dir string) string {
	in, err := loadInstance(dir)
	if err != nil {
		return ""
	}
	h, err := cgroup.Find("/proc")
	if err != nil {
		return ""
	}
	v, err := viewOf(h)
	if err != nil {
		return ""
	}
	if root, ok, err := in.root(h, v); ok && err == nil {
		return root.Path()
	}
	return ""
}

func instancePath(dir string) string { return dir + "/instance.json" }

// newInstance is one that nobody else has.
func newInstance() instance { return instance{ID: strings.ToLower(rand.Text()[:12])} }

// errDamaged is an instance that cannot be read. See recoverInstance.
var errDamaged = errors.New("is damaged")

// loadInstance reads the instance of a state directory.
//
// Errors: fs.ErrNotExist, errDamaged.
func loadInstance(dir string) (in instance, err error) {
	data, err := private.ReadFile(instancePath(dir))
	if err != nil {
		return in, err
	}
	err = json.Unmarshal(data, &in)
	if err == nil && in.ID == "" {
		err = errors.New("it holds no ID")
	}
	if err != nil {
		return instance{}, fmt.Errorf("%s %w (%v)", instancePath(dir), errDamaged, err)
	}
	return in, nil
}

// save has the instance on disk. It writes nothing if it is there already.
func (in instance) save(dir string) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return files.Put(instancePath(dir), append(data, '\n'))
}

// end is what is left to do when the keeper ends, with err. Where trees live on for the next
// keeper, everything stays as it is.
func (p *place) end(err error) error {
	if errors.Is(err, keeper.ErrLeft) {
		return nil
	}
	_, failed := errors.AsType[*keeper.FailedError](err) // trees of an earlier daemon live on
	if left := p.leave(!failed); left != nil {
		err = errors.Join(err, left)
	}
	return err
}

// leave gives back what was taken, in the reverse order. What a failed start has made
// goes too. The groups go if all runs were ended, else only those that this start made.
func (p *place) leave(ended bool) error {
	var err error
	if p.hangs {
		return p.groups.leave(false)
	}
	if p.secretFile != "" {
		err = remove(p.secretFile)
	}
	for _, l := range p.listeners {
		l.Close()
	}
	if p.socketFile != (fileID{}) && p.socketFile == fileAt(p.Socket) { // another's is left alone
		err = errors.Join(err, remove(p.Socket))
	}
	if path, _ := config.MetricsPath(p.Metrics); p.scrapeFile != (fileID{}) && p.scrapeFile == fileAt(path) {
		err = errors.Join(err, remove(path))
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
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}
