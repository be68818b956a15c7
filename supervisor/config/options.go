package config

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// Options are the values of all flags. The zero value is the default.
type Options struct {
	Places
	Secret, SecretFile string
	SocketMode         fs.FileMode // zero: see Access
	SocketGroup        string      // a name or a number; empty: the daemon's own
	AllowRemote        bool
	Idle               time.Duration  // as telnet.Server has it
	Limits             process.Limits // of all runs together
	ExitWith           string         // a process; empty: the daemon ends when it is told to
	Config             string         // the file, if it was given
	Check              bool
	UnitStopped        bool
	ResetStore         bool
	Version            bool
}

// Places are where a daemon works. They go from the keeper to the worker.
type Places struct {
	Socket  string
	Runtime string // directory of the FIFOs
	State   string // directory of the store and the logs
	Cgroup  string // the delegated root
	Listen  string // HOST:PORT for telnet clients; empty: none
	Metrics string // HOST:PORT, or unix: and a path, for scrapes; empty: none

	Definitions string // folder of files that are loaded at a start
}

// Fill fills in what was not given. Another state directory is another
// instance: its runtime directory follows from it.
func (p *Places) Fill() error {
	ownState := p.State != ""
	if !ownState {
		p.State = client.StateDir()
	}
	if p.Runtime == "" {
		if p.Runtime = client.RuntimeDir(); ownState {
			p.Runtime = filepath.Join(p.State, "run")
		}
	}
	if p.Socket == "" {
		p.Socket = client.SocketIn(p.Runtime)
	}
	if p.Definitions == "" {
		p.Definitions = DefinitionsDir(p.State)
	}
	for _, path := range []*string{&p.State, &p.Runtime, &p.Socket, &p.Definitions} {
		abs, err := filepath.Abs(*path)
		if err == nil {
			err = CheckText(abs)
		}
		if err != nil {
			return err
		}
		*path = abs
	}
	if path, is := MetricsPath(p.Metrics); is {
		abs, err := filepath.Abs(path)
		if err == nil {
			err = CheckText(abs)
		}
		if err != nil {
			return err
		}
		if len(abs) > telnet.MaxSocketPath {
			return fmt.Errorf("metrics: the path %s has %d bytes, and the kernel takes %d: give a shorter one", abs, len(abs), telnet.MaxSocketPath)
		}
		p.Metrics = "unix:" + abs
	}
	return nil
}

// CheckText refuses a path that is not text: it goes from the keeper to the worker as
// JSON, which would make another path of it.
func CheckText(path string) error {
	if !utf8.ValidString(path) {
		return fmt.Errorf("the path %s is not UTF-8: give another one", path)
	}
	return nil
}

// DefinitionsDir is the folder of definitions that belongs to a state directory. That of
// another instance is in it.
func DefinitionsDir(state string) string {
	if state != client.StateDir() {
		return filepath.Join(state, "definitions")
	}
	return client.ConfigDir()
}

// fileName is that of the configuration file.
const fileName = "processmanager.conf"

// defaultFile is the configuration file of the daemon of a state directory, which is empty
// where none was given. That of another instance is in it.
func defaultFile(state string) string {
	if state == "" {
		return filepath.Join(client.ConfigDir(), fileName)
	}
	return filepath.Join(state, fileName)
}
