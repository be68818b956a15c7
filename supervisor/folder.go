package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/freeflowuniverse/processmanager/supervisor/definitions"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// ownDefinitions are the files of the daemon's own folder. there is false where there is no
// such folder.
func (s *Supervisor) ownDefinitions() (own []process.File, there bool, err error) {
	if s.definitions == "" {
		return nil, false, nil
	}
	own, err = definitions.Folder(s.definitions)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		err = process.Errorf(process.CodeInvalid, "%v", err)
	}
	return own, true, err
}

// begin brings up what is to be up when the daemon starts, as the files of its own folder
// say it now. They are loaded once for a daemon: what was changed since must not be undone
// because a worker died. One that dies meanwhile has the next one do it again.
func (s *Supervisor) begin() {
	boot := sync.OnceFunc(func() { s.boot(s.toStart, s.former) })
	if s.former != (store.Daemon{Origin: s.origin, Done: true}) {
		s.loadDefinitions(boot)
		s.sayUnknown()
	}
	boot()
}

// loadDefinitions applies the daemon's own folder, without prune or restart. Where a file
// is broken the daemon goes on with what is stored, and says so. between is called when
// what was there before is as the files say.
func (s *Supervisor) loadDefinitions(between func()) {
	own, there, err := s.ownDefinitions()
	if !there {
		return
	}
	var rows []process.Applied
	if err == nil {
		rows, err = s.apply(context.Background(), process.Application{Path: s.definitions, Files: own}, between)
	}
	if s.isClosing() {
		return // that is why
	}
	if err != nil {
		s.log.Printf("the definitions in %s are not loaded, what is stored goes on: %v", s.definitions, err)
	}
	for _, row := range rows {
		if row.Err != nil {
			s.log.Printf("%s: %v", row.Source, row.Err)
		}
	}
}

// examineDefinitions says whether the daemon's own folder can be loaded, as it is now, and
// what of it does not hold.
func (s *Supervisor) examineDefinitions() []process.Finding {
	own, there, err := s.ownDefinitions()
	if !there {
		return nil
	}
	found := process.Finding{Subject: "definitions", Level: process.LevelOK}
	var p plan
	if err == nil {
		p, err = s.plan(process.Application{Path: s.definitions, Files: own})
	}
	if err != nil {
		found.Level, found.Found, found.Mend = process.LevelProblem, fmt.Sprintf("nothing in %s is loaded: %v", s.definitions, err), "mend that, then pmclient apply"
		return []process.Finding{found}
	}
	differ := 0
	for _, step := range p.steps {
		if step.Action != process.ApplyUnchanged {
			differ++
		}
	}
	found.Found = fmt.Sprintf("%s defines %d processes", s.definitions, len(p.steps))
	if len(p.steps) == 1 {
		found.Found = s.definitions + " defines 1 process"
	}
	if differ > 0 {
		found.Level, found.Mend = process.LevelNote, "pmclient apply; with -dry-run it says what it would do"
		found.Found += fmt.Sprintf(", of which %d are not as it says", differ)
	}
	return []process.Finding{found}
}
