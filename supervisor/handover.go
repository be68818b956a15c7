package supervisor

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/freeflowuniverse/processmanager/supervisor/files"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
)

// What only this process has and the worker of an upgrade goes on with: the tails. They
// wait for it in a file of the runtime directory.

func (s *Supervisor) tailsPath() string { return s.runtime + "/tails" }

// HandOver leaves for the next worker what only this one has. Trees go on; what they
// write from now on stays in their FIFOs. This process must end right afterwards.
func (s *Supervisor) HandOver() error {
	s.mu.Lock()
	all := maps.Clone(s.names)
	s.mu.Unlock()
	var kept []keptTail
	for name, p := range all {
		t := p.view.Load().output.tail
		if t == nil {
			continue
		}
		if pump := t.pump.Load(); pump != nil {
			pump.Leave()
		}
		if k := t.keep(); len(k.Data) > 0 {
			k.Name = name
			kept = append(kept, k)
		}
	}
	data, err := json.Marshal(kept)
	if err == nil && len(kept) > 0 {
		_, err = private.MakeDir(s.runtime) // somebody may have deleted it
	}
	if err != nil || len(kept) == 0 {
		return err
	}
	return files.Put(s.tailsPath(), data)
}

// handedOver is what a former worker has left, by name.
func (s *Supervisor) handedOver() map[string]keptTail {
	var data []byte
	err := run.RetryPassing(func() (err error) {
		data, err = private.ReadFile(s.tailsPath())
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var list []keptTail
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		s.log.Printf("the last lines of what has no log are lost: %v", err)
	}
	byName := map[string]keptTail{}
	for _, k := range list {
		byName[k.Name] = k
	}
	return byName
}

// TookOver is called when no worker before this one will go on: now what is kept may be
// written, the processes go on, and what would not have been theirs to lose is ended.
func (s *Supervisor) TookOver() {
	s.store.Begin()
	s.finishDeletes()
	s.limitAll()
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.names))
	s.mu.Unlock()
	for _, p := range all {
		for _, r := range p.runs {
			r.ReadOutput()
		}
		p.publish() // looks at those that it needs
	}
	for _, p := range all {
		p.serve()
	}
	s.endStrays()
	s.loops.Go(s.begin)
	s.loops.Go(s.tellFailures)
	if err := os.Remove(s.tailsPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Print(err)
	}
}
