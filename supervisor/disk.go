package supervisor

import (
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// disk is what a process has under way that can wait for a disk: writes of its record,
// and other work. None of it is done by the loop, which goes on and sends signals
// whatever a disk does; a request is answered when what it changed is on disk. When
// nothing has come back for storeLimit the disk hangs: those who wait are told, and what
// they asked for goes on when it can.
type disk struct {
	under    int           // how much is under way
	job      bool          // of it, what the lifecycle waits for
	landed   chan func()   // what the loop is to do when some has come back
	late     *timer        // storeLimit after the last came back
	hung     error         // what those are told who wait while it hangs; nil: it does not
	begun    uint64        // the newest write of the record; they count from 1
	written  uint64        // the newest that came back, done or failed
	last     chan struct{} // closed when the newest begun has come back
	finished uint64        // the write of the last run that was over
	held     []held        // answers that wait for a write
	waits    []await       // what else does
}

type held struct {
	request request
	answer  answer
	write   uint64
}

type await struct {
	write uint64
	then  func(error)
}

func newDisk(late *timer) disk {
	return disk{landed: make(chan func()), late: late}
}

// after has then called when the newest write has come back.
func (d *disk) after(then func(error)) {
	if d.begun == d.written { // what cannot be read is not written either
		then(nil)
		return
	}
	d.waits = append(d.waits, await{d.begun, then})
}

// land notes that some of the work has come back.
func (d *disk) land() {
	d.under--
	d.hung = nil
	if d.under > 0 {
		d.late.Reset(storeLimit)
	} else {
		d.late.Stop()
	}
}

// aside does work beside the loop, which then calls what that returns. A fault of it is
// the loop's.
func (p *managed) aside(work func() (then func())) {
	p.besides(work, func() {})
}

// job is aside for work that the lifecycle waits for, a thing at a time.
func (p *managed) job(work func() (then func())) {
	p.disk.job = true
	p.besides(work, func() { p.disk.job = false })
}

func (p *managed) besides(work func() (then func()), done func()) {
	if p.disk.under++; p.disk.under == 1 {
		p.disk.late.Reset(storeLimit)
	}
	go func() {
		then := func() {}
		func() {
			defer border.Catch(func(fault *border.Panic) { then = func() { panic(fault) } })
			then = work()
		}()
		select {
		case p.disk.landed <- func() { done(); then() }:
		case <-p.done:
		}
	}()
}

// hang is for a disk that does not answer.
func (p *managed) hang() {
	what := "the store " + p.s.store.path
	if p.disk.begun == p.disk.written {
		what = "the disk of " + p.s.state + ", or the keeper,"
	}
	p.disk.hung = process.Errorf(process.CodeStore, "process '%s': %s does not answer for %v; what was asked is done when it does",
		p.rec.Spec.Name, what, storeLimit)
	p.s.log.Print(p.disk.hung)
	p.publish()
	if p.state.onDisk() {
		p.answerAll(p.disk.hung)
	} else { // the others wait for a tree
		p.answerHeld(p.disk.hung)
	}
}

// answerHeld gives the answers that wait for a write.
func (p *managed) answerHeld(err error) {
	for _, h := range p.disk.held {
		h.answer.stored(err)
		h.request.answer <- h.answer
	}
	p.disk.held = nil
}

// retryDelay is when what could not be put on disk is tried again.
const retryDelay = 5 * time.Second

// save begins to put the record on disk, and with it the results of runs that are over.
func (p *managed) save() {
	p.rec.Up = p.state.up
	if p.invalid == nil { // what was missed is told when the schedule can be read again
		p.rec.Next = p.next.UTC()
	}
	for _, at := range []process.State{p.state.at, p.state.rested} {
		if at.AtRest() {
			p.rec.At = at
		}
	}
	p.put()
}

// put begins to put the record on disk as it is, or it is tried again.
func (p *managed) put() {
	d := &p.disk
	if p.rec.unreadable != nil {
		runs := p.unkept
		p.unkept = nil
		p.aside(func() (then func()) {
			p.letGo(runs)
			return func() {}
		})
		return
	}
	d.begun++
	write, runs := d.begun, p.unkept
	p.unkept = nil
	result, before, done := p.s.store.begin(p.rec), d.last, make(chan struct{})
	d.last = done
	p.aside(func() (then func()) {
		err := <-result
		if before != nil { // they come back in their order
			select {
			case <-before:
			case <-p.done:
			}
		}
		unkept := runs
		then = func() {
			close(done)
			p.saved(write, unkept, err)
		}
		defer border.Catch(p.sayFault) // it is on disk all the same
		if err == nil && len(runs) > 0 {
			p.s.at(PointStored)
			p.letGo(runs)
			unkept = nil
		}
		return then
	})
}

// saved takes note of a write that has come back. runs are those whose results it has
// not put on disk, or that could not be let go.
func (p *managed) saved(write uint64, runs []*run, err error) {
	d := &p.disk
	d.written, p.unsaved = write, err
	if err != nil && !p.stored { // it could not be put on disk, so there is none
		p.forgotten(err)
		return
	}
	p.stored = true
	if err != nil || len(runs) > 0 {
		p.unkept = append(runs, p.unkept...)
		p.retry.Reset(retryDelay)
	}
	p.publish() // first: who is answered must see the new state
	for len(d.held) > 0 && d.held[0].write <= write {
		d.held[0].answer.stored(err)
		d.held[0].request.answer <- d.held[0].answer
		d.held = d.held[1:]
	}
	for len(d.waits) > 0 && d.waits[0].write <= write {
		then := d.waits[0].then
		d.waits = d.waits[1:]
		then(err)
	}
}
