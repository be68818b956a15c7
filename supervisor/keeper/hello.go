package keeper

import (
	"fmt"
	"io"
	"os"

	"github.com/freeflowuniverse/processmanager/proc"
	"golang.org/x/sys/unix"
)

// Hello is what a worker is given when it connects.
type Hello struct {
	Config    []byte     // Config.Hello of the keeper, as it was
	Listeners []*os.File // Config.Listeners of the keeper; the caller's to close
	Held      []Held     // every run that was not dropped, in no order
	Shutdown  bool       // shutdown is under way: finish it

	// Upgrade is the last one that was begun. The worker that may end it by becoming
	// ready is told that it was done, so nobody may be answered before Ready.
	Upgrade Upgrade

	// Lost is how many descriptors of Held are missing, because this process may not
	// open many more. The keeper still has them.
	Lost int
}

// Held is a run that the keeper knows of.
type Held struct {
	Run RunID

	// ID is the leader. It is zero when the start failed, SpawnErr says why, and when
	// another keeper has started it.
	ID       proc.ID
	SpawnErr error

	// Output is the descriptor that the run was given, or nil. It is the caller's to
	// close. The tree shares its mode: to read without blocking, open it anew.
	Output *os.File

	// Notify is the socket that the run was given to speak to its worker, or nil. It is
	// the caller's to close, and in blocking mode: the keeper must not be woken by what
	// arrives.
	Notify *os.File

	// Exit is nil while the leader runs. Its end will be told by Exits.
	Exit *proc.Exit
}

func receiveHello(c *conn) (hello Hello, err error) {
	p, err := next(c, kindHello)
	if err != nil {
		return hello, err
	}
	hello, n, err := parseHello(&p)
	if err != nil {
		return hello, err
	}
	for range n {
		p, err := next(c, kindHeld)
		if err != nil {
			return hello, err
		}
		held, err := parseHeld(&p)
		p.close()
		if !affordable(held.Output) || !affordable(held.Notify) {
			closeFiles(held.Output, held.Notify)
			held.Output, held.Notify, err = nil, nil, unix.EMFILE
		}
		if err == unix.EMFILE {
			hello.Lost++
			err = nil
		}
		hello.Held = append(hello.Held, held)
		if err != nil {
			return hello, err
		}
	}
	return hello, nil
}

// next receives a packet that must be of kind k.
func next(c *conn, k kind) (packet, error) {
	p, err := c.receive()
	if err == io.EOF {
		return p, ErrKeeperGone
	}
	if err == nil && p.kind != k {
		p.close()
		return p, fmt.Errorf("%v instead of %v: %w", p.kind, k, errMalformed)
	}
	return p, err
}

func (h *Hello) closeFiles() {
	for _, f := range h.Listeners {
		f.Close()
	}
	for _, held := range h.Held {
		closeFiles(held.Output, held.Notify)
	}
}
