package keeper

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A shell passes on what its terminal has sent, and the kernel sends it again when the shell
// has ended: however often and whenever it comes, the shutdown that it began goes on.
func TestHangupOfATerminalEndsAllInOrder(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{Terminal: Terminal{Hangup: HangupEnds, Quits: true}, StayInTheEnd: true})
	_, hello := k.hello(0)
	k.signal(unix.SIGHUP)
	k.waitOutput("the terminal was closed: ending all processes in order", 1)
	for end := time.Now().Add(3 * sameSignal); time.Now().Before(end); {
		k.signal(unix.SIGHUP)
		time.Sleep(time.Millisecond)
	}
	if err := unix.Kill(hello.PID, 0); err != nil {
		t.Errorf("the worker: %v", err)
	}
	select {
	case <-k.ended:
		t.Error("the shutdown was not waited for")
	default:
	}
	k.signal(unix.SIGTERM) // somebody is in a hurry
	k.waitEnd()
	k.waitOutput("ended: "+ErrKilled.Error(), 1)
}

func TestHangupOfATerminalWaitsForTheWorker(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{Terminal: Terminal{Hangup: HangupEnds}})
	k.hello(0)
	k.signal(unix.SIGHUP)
	k.waitEnd()
	if k.state.ExitCode() != 0 {
		t.Errorf("%v: %s", k.state, k.output())
	}
}

// What nohup has is neither an end nor an upgrade, and Ctrl-\ does not wait.
func TestHangupThatIsIgnoredMeansNothing(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{Terminal: Terminal{Hangup: HangupIgnored, Quits: true}})
	k.install(programNotes{Name: "second", Protocol: otherProtocol})
	c, hello := k.hello(0)
	k.signal(unix.SIGHUP)
	_, again, _ := k.upgrade(c, hello) // behind it, and by an exec
	if again.Program != "second" || again.Upgrade.Number != 1 {
		t.Errorf("%+v", again)
	}
	k.signal(unix.SIGHUP)
	if _, still := k.hello(0); still.PID != again.PID || still.Upgrade.Number != 1 {
		t.Errorf("%+v", still)
	}
	k.signal(unix.SIGQUIT)
	k.waitEnd()
	k.waitOutput("ended: "+ErrKilled.Error(), 1)
}
