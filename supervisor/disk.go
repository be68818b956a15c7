package supervisor

import (
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// disk is what a process has under way that can wait for a disk: writes of what is kept of
// it, and other work. None of it is done by the loop, which goes on and sends signals
// whatever a disk does; a request is answered when what it changed is on disk. When nothing
// has come back for storeLimit the disk hangs: those who wait are told, and what they asked
// for goes on when it can.
type disk struct {
	under int           // how much is under way
	limit time.Duration // by the clock: storeLimit after the last came back; at the end of the daemon, that of anybody
	late  func()        // takes back the call then; nil: there is none
	hung  error         // what those are told who wait while it hangs; nil: it does not

	// What is to be written with the next change.
	dirty      bool
	definition bool          // too
	number     bool          // of a run that is about to begin
	unkept     []*run.Run    // that are over, with their results
	lost       []process.Run // results of runs that nobody saw
	ledger     []process.LedgerEntry
	begun      []process.LedgerEntry // of ledger, or on disk, that say now how late their runs began
	untold     []process.Event       // that were written and did not come to disk
	events     []process.Event       // that tell of it, behind those

	writes  []*write // under way, the oldest first
	numbers uint64   // of writes; they count from 1
	held    []held   // answers that wait for a write
	waits   []await  // what else does

	failures []await // runs that failed, to be told of when they are on disk
	unsaved  error   // why the last write failed
	failed   error   // why one did whose results are not on disk yet; nil: they are
	retry    func()  // takes back the call for another try; nil: there is none
	closed   bool    // it is being erased: nothing more is written
}

// write is a change on its way to the disk.
type write struct {
	number     uint64
	runs       []*run.Run // whose results it has
	lost       []process.Run
	ledger     []process.LedgerEntry
	begun      []process.LedgerEntry
	definition bool
	begins     bool // it has the number of a run that is about to begin
	events     []process.Event
	totals     *process.Totals // of the process, when it is on disk; nil: as they were
	err        error
	landed     bool // it has come back
	back       bool // and what its runs had is gone
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

// storeLimit is how long a request waits for a disk that does not answer; retryDelay is
// when what could not be put on disk is tried again.
const (
	storeLimit = 5 * time.Second
	retryDelay = 5 * time.Second
)

// stop takes back the calls that are to come.
func (d *disk) stop() {
	for _, stop := range []func(){d.late, d.retry} {
		if stop != nil {
			stop()
		}
	}
	d.late, d.retry = nil, nil
}

// aside does work beside the loop, which then calls what that returns.
func (p *managed) aside(work func() (then func())) {
	if p.disk.under++; p.disk.under == 1 {
		p.watchDisk()
	}
	go func() {
		defer border.Catch(func(fault *border.Panic) { // it is the loop's
			p.inbox.put(func() { p.land(); panic(fault) })
		})
		then := work()
		p.inbox.put(func() { p.land(); then() })
	}()
}

// watchDisk has hang called unless something comes back in time.
func (p *managed) watchDisk() {
	p.waitForDisk(p.s.clock.Now() + storeLimit)
}

func (p *managed) waitForDisk(limit time.Duration) {
	if p.disk.late != nil {
		p.disk.late()
	}
	p.disk.limit = limit
	p.disk.late = p.s.clock.At(limit, func() { p.inbox.put(p.hang) })
}

// land notes that some of the work has come back.
func (p *managed) land() {
	d := &p.disk
	d.under--
	d.hung = nil
	p.s.landed.Store(int64(p.s.clock.Now()))
	if d.under > 0 {
		p.watchDisk()
	} else if d.late != nil {
		d.late()
		d.late = nil
	}
}

// hang is for a disk that does not answer.
func (p *managed) hang() {
	now := p.s.clock.Now()
	if p.disk.late == nil || now < p.disk.limit { // it has, just now
		return
	}
	// When all end at once, each waits behind all others: that is a lot to do, and no disk that
	// hangs.
	if limit := time.Duration(p.s.landed.Load()) + storeLimit; p.machine.Closing && now < limit {
		p.waitForDisk(limit)
		return
	}
	p.disk.late = nil
	what := "the store " + p.s.store.Path()
	if len(p.disk.writes) == 0 {
		what = "the disk of " + p.s.state + ", or the keeper,"
	}
	p.disk.hung = process.Errorf(process.CodeStore, "process '%s': %s does not answer for %v; what was asked is done when it does", p.name, what, storeLimit)
	p.s.log.Print(p.disk.hung)
	p.publish()
	p.answerHeld(p.disk.hung) // endTurn answers the others, unless they wait for a tree
}

// endTurn puts on disk and shows others what the loop has changed in what it took from the
// inbox.
func (p *managed) endTurn() {
	p.settleWaits()
	p.save()
	p.publish()
	if p.disk.hung != nil && p.onDisk() {
		p.answerAll(p.disk.hung)
	}
}

// onDisk reports whether nothing is under way but what can wait for a disk.
func (p *managed) onDisk() bool {
	for _, r := range p.runs {
		if !r.Waits() {
			return false
		}
	}
	return p.disk.under > 0
}

// answerHeld gives the answers that wait for a write.
func (p *managed) answerHeld(err error) {
	for _, h := range p.disk.held {
		h.answer.failIfDone(err)
		h.request.answer <- h.answer
	}
	p.disk.held = nil
}

// pendingWrite is the number of the write that has what was changed until now.
func (p *managed) pendingWrite() uint64 {
	if p.disk.dirty {
		return p.disk.numbers + 1
	}
	return p.disk.numbers
}

// afterSave has then called when what was changed until now is on disk, or could not be
// put there.
func (p *managed) afterSave(then func(error)) {
	p.hurry()
	p.disk.waits = append(p.disk.waits, await{p.pendingWrite(), then})
}

// hurry is for somebody who waits for a write that may be under way already.
func (p *managed) hurry() {
	if !p.disk.dirty || p.disk.numbering() {
		p.s.store.Hurry()
	}
}

// tell adds an event to what is written next. One that comes alone waits a moment for
// company.
func (p *managed) tell(e process.Event) {
	e.Time = time.Now().UTC()
	p.disk.events = append(p.disk.events, e)
}

// save begins to put on disk what was changed. It is called when the loop has done what it
// took from the inbox. Nothing is written behind the number of a run before that is on disk:
// should it not come there, nothing that rests on it may.
func (p *managed) save() {
	for p.disk.dirty && !p.disk.numbering() {
		p.saveChange()
	}
	if !p.disk.dirty && !p.disk.numbering() {
		p.saveEvents()
	}
}

// numbering reports whether the number of a run is on its way to the disk, or has not come
// there and is still to be taken back; or entries of the ledger: the next time of the schedule
// must not move on without them.
func (d *disk) numbering() bool {
	return slices.ContainsFunc(d.writes, func(w *write) bool { return (w.begins || len(w.ledger) > 0) && (!w.landed || w.err != nil) })
}

// saveChange begins to put on disk what was changed, in one transaction.
func (p *managed) saveChange() {
	d := &p.disk
	d.dirty = false
	if d.closed {
		return
	}
	if p.unread && !p.kept.Removed { // what the store has stays as it is
		w := &write{number: p.nextWrite(), runs: d.unkept}
		d.untold, d.events, d.unkept, d.ledger, d.begun, d.number = nil, nil, nil, nil, nil, false
		d.writes = append(d.writes, w)
		w.totals = new(p.totals)
		for _, r := range w.runs {
			w.totals.AddRun(new(r.Result()))
		}
		p.back(w, nil)
		return
	}
	t := &p.kept.Target
	t.Up, t.Stopped, t.State = p.machine.Up, p.machine.Stopped, p.machine.Rest
	t.Waiting = p.machine.Rest == process.Waiting && !p.machine.Busy()
	switch p.machine.Rest {
	case process.Scheduled, process.Waiting:
		t.State = process.Stopped
	case process.Backoff:
		t.State = p.machine.Under
	}
	t.Restarts, t.Reason = p.attempts(), p.machine.Reason
	if t.Owed = p.owed; p.owed {
		t.JobID = p.jobID
	}
	if p.owed || t.Waiting {
		t.Asked = p.machine.Asked
	}
	t.Queued = p.inLine()
	t.SchedulePaused, t.Skip = p.machine.SchedulePaused, p.machine.Skip.UTC()
	p.setBeside(d.unkept)
	if p.invalid == nil { // what was missed is told when the schedule can be read again
		t.Next, t.Backlog = p.next.UTC(), p.backlog()
	}
	w := &write{number: p.nextWrite(), runs: d.unkept, lost: d.lost, ledger: d.ledger, begun: d.begun, definition: d.definition || !p.stored, begins: d.number, events: slices.Concat(d.untold, d.events)}
	target := p.kept.Target
	c := store.Change{Name: p.name, Target: &target, Runs: slices.Clone(w.lost), Ledger: slices.Concat(w.ledger, w.begun), Events: w.events}
	if w.definition {
		c.Definition = p.kept.Definition
	}
	for _, r := range w.runs {
		c.Runs = append(c.Runs, r.Result())
	}
	if len(c.Runs)+len(c.Ledger) > 0 {
		w.totals = new(process.Totals)
		c.Totals = w.totals
	}
	d.ledger, d.begun = nil, nil
	d.unkept, d.lost, d.untold, d.events, d.definition, d.number = nil, nil, nil, nil, false, false
	d.writes = append(d.writes, w)
	if !p.isAwaited(w) {
		c.Company = p.s.company
	}
	if d.under++; d.under == 1 {
		p.watchDisk()
	}
	c.Done = func(err error) { p.inbox.put(func() { p.land(); p.back(w, err) }) }
	p.s.store.Write(c)
}

// company is how long a change that nobody waits for may wait for others. It is short: the
// process is shown as it was until then.
const company = 10 * time.Millisecond

// isAwaited reports whether somebody waits for a write: a request, what follows it, the
// daemon's end, or a process that needs this one.
func (p *managed) isAwaited(w *write) bool {
	d := &p.disk
	return w.begins || w.definition || p.machine.Closing ||
		len(d.held) > 0 && d.held[len(d.held)-1].write >= w.number ||
		len(d.waits) > 0 && d.waits[len(d.waits)-1].write >= w.number ||
		p.s.ordering.isNeeded(p.name)
}

func (p *managed) nextWrite() uint64 {
	p.disk.numbers++
	return p.disk.numbers
}

// saveEvents puts on disk what tells of nothing else that is to be there.
func (p *managed) saveEvents() {
	events := p.disk.events
	if len(events) == 0 || !p.stored || p.disk.closed || p.disk.retry != nil { // they go with the next change
		return
	}
	begun := p.disk.begun // each with the event that its run has started
	p.disk.events, p.disk.begun = nil, nil
	c := store.Change{Name: p.name, Ledger: begun, Events: events, Company: store.Company, Done: func(err error) {
		if err != nil {
			p.inbox.put(func() {
				p.disk.begun = append(begun, p.disk.begun...)
				p.keepEvents(events)
				p.tryAgain()
			})
		}
	}}
	p.setBeside(nil)
	if target := p.kept.Target; !p.unread { // it says what was told
		c.Target = &target
	}
	p.s.store.Write(c)
}

// maxUntold bounds the events that wait for a disk that takes none.
const maxUntold = 1000

// keepEvents has events that did not come to disk written with the next change. Writes come
// back in their order.
func (p *managed) keepEvents(events []process.Event) {
	all := append(p.disk.untold, events...)
	p.disk.untold = all[max(0, len(all)-maxUntold):]
}

// back takes note of a write that has come back. What the runs had whose results are on
// disk now is removed first.
func (p *managed) back(w *write, err error) {
	w.err, w.landed = err, true
	if err == nil && w.totals != nil {
		p.totals = *w.totals
	}
	if err != nil || len(w.runs) == 0 {
		w.back = true
		p.wroteAll()
		return
	}
	p.resultsStored(w.runs)
	p.s.at(PointStored)
	p.release(w)
}

// release removes what the runs of a write had.
func (p *managed) release(w *write) {
	runs := w.runs
	p.aside(func() func() {
		for _, r := range runs {
			r.Release()
		}
		return func() {
			w.runs, w.back = nil, true
			p.wroteAll()
		}
	})
}

// wroteAll takes note of the writes that have come back, in their order.
func (p *managed) wroteAll() {
	d := &p.disk
	for len(d.writes) > 0 && d.writes[0].back {
		w := d.writes[0]
		d.writes = popped(d.writes)
		p.wrote(w)
	}
}

// popped is a list without its first, of which nothing stays behind it in memory: a process
// that rests keeps no more than it needs.
func popped[T any](list []T) []T {
	if len(list) == 1 {
		return nil
	}
	var none T
	list[0] = none
	return list[1:]
}

// wrote goes on with what waits for a write.
func (p *managed) wrote(w *write) {
	d := &p.disk
	d.unsaved = w.err
	if w.err != nil && !p.stored { // it could not be put on disk, so there is none
		if d.closed = true; len(d.writes) > 0 { // what is on its way must not leave one there
			p.s.store.Write(store.Change{Name: p.name, Remove: true})
		}
		p.machine.Removed = true
		p.s.forget(p)
		p.answerAll(w.err)
		return
	}
	p.stored = true
	if w.err != nil {
		d.unkept, d.lost = append(w.runs, d.unkept...), append(w.lost, d.lost...)
		d.begun = append(w.begun, d.begun...)
		d.definition = d.definition || w.definition
		later := d.ledger
		d.ledger = w.ledger
		for _, e := range later {
			d.enter(e)
		}
		p.keepEvents(w.events)
		p.tryAgain()
		d.failed = w.err
	}
	err := w.err
	if len(d.unkept) == 0 {
		d.failed = nil
	} else if err == nil { // what this one tells rests on results that are not on disk
		err = d.failed
	}
	for len(d.waits) > 0 && d.waits[0].write <= w.number {
		then := d.waits[0].then
		d.waits = popped(d.waits)
		then(w.err)
	}
	if w.err == nil {
		for len(d.failures) > 0 && d.failures[0].write <= w.number {
			then := d.failures[0].then
			d.failures = popped(d.failures)
			then(nil)
		}
	}
	p.publish() // first: who is answered must see the new state
	for len(d.held) > 0 && d.held[0].write <= w.number {
		h := d.held[0]
		d.held = popped(d.held)
		h.answer.failIfDone(err)
		h.request.answer <- h.answer
	}
}

// tryAgain has what could not be put on disk tried again after a while.
func (p *managed) tryAgain() {
	if p.disk.retry != nil {
		return
	}
	p.disk.retry = p.s.clock.At(p.s.clock.Now()+retryDelay, func() { p.inbox.put(p.again) })
}

// again tries what could not be put on disk, and what could not begin for that.
func (p *managed) again() {
	p.disk.retry = nil
	p.disk.dirty = true
	p.startOwed()
	p.workOff()
}
