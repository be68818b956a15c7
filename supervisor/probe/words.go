package probe

import (
	"errors"
	"net"
	"os"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// maxWords is how many cells a probe's last words take at the most. They may be others'.
const maxWords = 200

// words is what a probe says that failed: what was asked, and what was wrong.
func words(p process.Probe, err error) string {
	return screen.Cut(screen.Line(p.String()+": "+plain(err)), maxWords)
}

// plain is an error without what the probe says already: what was done, and to which address.
func plain(err error) string {
	if unknown, ok := errors.AsType[*net.DNSError](err); ok {
		return unknown.Err
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		err = failed.Err
	}
	if failed, ok := errors.AsType[*os.SyscallError](err); ok {
		err = failed.Err
	}
	return err.Error()
}
