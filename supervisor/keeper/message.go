package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// kind is the second byte of a packet.
type kind byte

const (
	// From the worker.
	kindSpawn   kind = 1 + iota // run, command with its settings; the group's directory, the FIFO end, the notify socket
	kindDrop                    // run
	kindKill                    // run
	kindReady                   //
	kindFailed                  // text
	kindUpgrade                 //
	kindKeep                    // run; the notify socket that the keeper is to hold for it
	kindHelp                    // serial, command; the group's directory, the output
	kindWell                    // text, the answer to ASK

	// From the keeper.
	kindHello    // configuration, shutdown, last upgrade, number of held packets that follow; the listeners
	kindHeld     // run, how its start went, its exit if it has ended; the FIFO end, the notify socket
	kindSpawned  // run, how its start went
	kindExited   // run, exit
	kindShutdown //
	kindRefused  // text: no upgrade
	kindHandOver // number of the upgrade
	kindListen   // index of a listener; the one that takes its place
	kindHelped   // serial, how its start went, its exit
	kindAsk      // how the worker is

	// From the worker. The numbers of those above stay as they are.
	kindEnd // exit code
)

func (k kind) String() string {
	names := [...]string{"0", "SPAWN", "DROP", "KILL", "READY", "FAILED", "UPGRADE", "KEEP", "HELP", "WELL",
		"HELLO", "HELD", "SPAWNED", "EXITED", "SHUTDOWN", "REFUSED", "HANDOVER", "LISTEN", "HELPED", "ASK", "END"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprint(byte(k))
}

// outcome is how a start went: an ID, or why there is none.
type outcome struct {
	id  proc.ID
	err error // a *proc.SpawnError, or ErrHeld
}

func (e *encoder) run(r RunID) {
	e.string(r.Name)
	e.uint(r.Run)
}

func (d *decoder) run() RunID { return RunID{d.string(), d.uint()} }

const (
	outcomeStarted = iota
	outcomeFailed
	outcomeHeld
)

func (e *encoder) outcome(o outcome) {
	var failed *proc.SpawnError
	switch {
	case o.err == nil:
		e.uint(outcomeStarted)
		e.uint(uint64(o.id.PID))
		e.uint(o.id.Start)
	case errors.As(o.err, &failed):
		e.uint(outcomeFailed)
		e.string(string(failed.Step))
		e.string(failed.Path)
		var errno unix.Errno // crosses as a number, so that errors.Is holds over there
		errors.As(failed.Err, &errno)
		e.uint(uint64(errno))
		e.string(failed.Err.Error())
	default:
		e.uint(outcomeHeld)
	}
}

func (d *decoder) outcome() outcome {
	switch d.uint() {
	case outcomeStarted:
		return outcome{id: proc.ID{PID: int(d.uint()), Start: d.uint()}}
	case outcomeFailed:
		failed := &proc.SpawnError{Step: proc.Step(d.string()), Path: d.string()}
		errno, text := unix.Errno(d.uint()), d.string()
		if errno != 0 {
			failed.Err = errno
		} else {
			failed.Err = errors.New(text)
		}
		return outcome{err: failed}
	case outcomeHeld:
		return outcome{err: ErrHeld}
	}
	d.bad = true
	return outcome{}
}

func (e *encoder) exit(x proc.Exit) {
	e.uint(uint64(x.Code))
	e.uint(uint64(x.Signal))
	e.bool(x.Core)
	e.int(int64(x.Time))
	e.int(int64(x.UserTime))
	e.int(int64(x.SystemTime))
}

func (d *decoder) exit() proc.Exit {
	return proc.Exit{
		Code:       int(d.uint()),
		Signal:     unix.Signal(d.uint()),
		Core:       d.bool(),
		Time:       time.Duration(d.int()),
		UserTime:   time.Duration(d.int()),
		SystemTime: time.Duration(d.int()),
	}
}

// settings are JSON, so that a field which is not set takes no room; empty: there are none.
func (e *encoder) settings(s *proc.Settings) {
	var text []byte
	if s != nil {
		text, _ = json.Marshal(s) // numbers and text: it cannot fail
	}
	e.string(string(text))
}

func (d *decoder) settings() *proc.Settings {
	text := d.string()
	if text == "" {
		return nil
	}
	s := new(proc.Settings)
	if json.Unmarshal([]byte(text), s) != nil {
		d.bad = true
	}
	return s
}

// aboutRun makes a packet that says a run and nothing else.
func aboutRun(k kind, run RunID) packet {
	var e encoder
	e.run(run)
	return packet{kind: k, body: e}
}

// command puts in what is to be started. Its files travel beside it, by attach.
func (e *encoder) command(c proc.Command) {
	e.strings(c.Argv)
	e.strings(c.Env)
	e.string(c.Dir)
	e.settings(c.Settings)
}

func (d *decoder) command() proc.Command {
	return proc.Command{Argv: d.strings(), Env: d.strings(), Dir: d.string(), Settings: d.settings()}
}

// attach has files go with a message that is being made, and says in it which of them
// there are.
func (e *encoder) attach(p *packet, files ...*os.File) {
	for _, f := range files {
		e.bool(f != nil)
		if f != nil {
			p.files = append(p.files, f)
		}
	}
}

func spawnPacket(run RunID, c proc.Command, notify *os.File) packet {
	p := packet{kind: kindSpawn}
	var e encoder
	e.run(run)
	e.command(c)
	e.attach(&p, c.Group, c.Output, notify)
	p.body = e
	return p
}

// parseSpawn takes the files out of p. Where descriptors were lost, it gives the
// run and unix.EMFILE.
func parseSpawn(p *packet) (run RunID, c proc.Command, notify *os.File, err error) {
	d := decoder{data: p.body}
	run = d.run()
	if p.lost && !d.bad {
		return run, c, nil, unix.EMFILE
	}
	c = d.command()
	c.Group, c.Output, notify = p.take(d.bool()), p.take(d.bool()), p.take(d.bool())
	return run, c, notify, p.end(&d)
}

func keepPacket(run RunID, notify *os.File) packet {
	p := aboutRun(kindKeep, run)
	p.files = []*os.File{notify}
	return p
}

// parseKeep gives no socket where its descriptor was lost.
func parseKeep(p *packet) (run RunID, notify *os.File, err error) {
	d := decoder{data: p.body}
	run, notify = d.run(), p.take(true)
	if err = p.end(&d); err == unix.EMFILE {
		err = nil
	}
	return run, notify, err
}

func helpPacket(serial uint64, c proc.Command) packet {
	p := packet{kind: kindHelp}
	var e encoder
	e.uint(serial)
	e.command(c)
	e.attach(&p, c.Group, c.Output)
	p.body = e
	return p
}

// parseHelp takes the files out of p. Where descriptors were lost, it gives the serial
// and unix.EMFILE.
func parseHelp(p *packet) (serial uint64, c proc.Command, err error) {
	d := decoder{data: p.body}
	serial = d.uint()
	if p.lost && !d.bad {
		return serial, c, unix.EMFILE
	}
	c = d.command()
	c.Group, c.Output = p.take(d.bool()), p.take(d.bool())
	return serial, c, p.end(&d)
}

// helped is how it went with a helper: its start has failed, or it has ended.
type helped struct {
	outcome outcome
	exit    proc.Exit
}

func helpedPacket(serial uint64, h helped) packet {
	var e encoder
	e.uint(serial)
	e.outcome(h.outcome)
	e.exit(h.exit)
	return packet{kind: kindHelped, body: e}
}

func parseHelped(p *packet) (serial uint64, h helped, err error) {
	d := decoder{data: p.body}
	serial, h.outcome, h.exit = d.uint(), d.outcome(), d.exit()
	return serial, h, p.end(&d)
}

func heldPacket(r *run) packet {
	var e encoder
	e.run(r.RunID)
	e.outcome(r.outcome)
	e.bool(r.exit != nil)
	if r.exit != nil {
		e.exit(*r.exit)
	}
	p := packet{kind: kindHeld}
	e.attach(&p, r.output, r.notify)
	p.body = e
	return p
}

func parseHeld(p *packet) (h Held, err error) {
	d := decoder{data: p.body}
	h.Run = d.run()
	o := d.outcome()
	h.ID, h.SpawnErr = o.id, o.err
	if d.bool() {
		x := d.exit()
		h.Exit = &x
	}
	h.Output, h.Notify = p.take(d.bool()), p.take(d.bool())
	return h, p.end(&d)
}

func helloPacket(h Hello, held int) packet {
	var e encoder
	e.string(string(h.Config))
	e.bool(h.Shutdown)
	e.uint(h.Upgrade.Number)
	e.string(h.Upgrade.Err)
	e.uint(uint64(held))
	return packet{kind: kindHello, body: e, files: h.Listeners}
}

func parseHello(p *packet) (h Hello, held int, err error) {
	d := decoder{data: p.body}
	h.Config, h.Shutdown = []byte(d.string()), d.bool()
	h.Upgrade = Upgrade{d.uint(), d.string()}
	held = int(d.uint())
	h.Listeners, p.files = p.files, nil
	return h, held, p.end(&d)
}

func listenPacket(r Renewed) packet {
	var e encoder
	e.uint(uint64(r.Index))
	return packet{kind: kindListen, body: e, files: []*os.File{r.Listener}}
}

func parseListen(p *packet) (r Renewed, err error) {
	d := decoder{data: p.body}
	r.Index, r.Listener = int(d.uint()), p.take(true)
	if err = p.end(&d); err == nil && r.Listener == nil {
		err = errMalformed
	}
	return r, err
}

// take returns the next file of a received packet, which is the caller's from now
// on, or nil where none was sent.
func (p *packet) take(sent bool) *os.File {
	if !sent || len(p.files) == 0 {
		return nil
	}
	f := p.files[0]
	p.files = p.files[1:]
	return f
}

// end reports whether all of p was there and has been taken.
func (p *packet) end(d *decoder) error {
	switch {
	case d.end() != nil || len(p.files) > 0:
		return errMalformed
	case p.lost:
		return unix.EMFILE
	}
	return nil
}
