package keeper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxInline is how much of a body is sent in the packet itself. The rest travels
	// in a memory file, whose descriptor comes last: a packet is limited by
	// net.core.wmem_max and takes contiguous kernel memory, a command with its
	// environment may have 2 MiB.
	maxInline = 32 << 10

	// maxBody is what is accepted in all: more than execve takes.
	maxBody = 16 << 20

	// maxFiles is how many descriptors the kernel takes in one packet (SCM_MAX_FD).
	maxFiles = 253
)

// protocolNumber changes with the meaning of any packet. It is a string so that a
// test can build a program that speaks another:
//
//	go build -ldflags "-X github.com/freeflowuniverse/processmanager/supervisor/keeper.protocolNumber=200"
var protocolNumber = "4"

// protocol is the first byte of every packet.
var protocol = byte(atoi(protocolNumber))

func atoi(s string) int {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		panic(err)
	}
	return int(n)
}

// headerLen is the length of protocol, kind and flags, a byte each.
const headerLen = 3

// flagMemfd says that the body goes on in the last descriptor.
const flagMemfd = 1

// packet is one message on its way.
type packet struct {
	kind kind
	body []byte

	// files are borrowed from the sender and belong to the receiver.
	files []*os.File

	// lost says that descriptors did not arrive, because the receiver may not open
	// more. The first maxInline bytes of the body are there.
	lost bool
}

// close closes the descriptors of a received packet that nobody wants.
func (p *packet) close() {
	for _, f := range p.files {
		f.Close()
	}
	p.files = nil
}

// errProtocol is a packet with another protocol number.
var errProtocol = errors.New("keeper and worker speak different protocols")

// conn is one end of the socket.
type conn struct {
	file *os.File
	raw  syscall.RawConn

	buf, oob []byte // of the one receiver
}

// newConn takes over fd, which must be one end of a SOCK_SEQPACKET pair.
func newConn(fd int) (*conn, error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_SEQPACKET {
		return nil, fmt.Errorf("descriptor %d is not the keeper's socket", fd)
	}
	file := os.NewFile(uintptr(fd), "keeper link")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &conn{
		file: file,
		raw:  raw,
		buf:  make([]byte, headerLen+maxInline),
		oob:  make([]byte, unix.CmsgSpace(4*maxFiles)),
	}, nil
}

// close ends receive and send in other goroutines too.
func (c *conn) close() { c.file.Close() }

// shutdown lets receive end with io.EOF after what was sent already, whoever else
// may still hold the other end.
func (c *conn) shutdown() {
	c.raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}

// send returns when the kernel has taken p.
func (c *conn) send(p packet) error { return c.transmit(p, true) }

// trySend returns unix.EAGAIN when the kernel takes nothing at the moment.
func (c *conn) trySend(p packet) error { return c.transmit(p, false) }

func (c *conn) transmit(p packet, wait bool) error {
	header := []byte{protocol, byte(p.kind), 0}
	body, files := p.body, p.files
	if len(body) > maxBody {
		return fmt.Errorf("a message of %d bytes, at most %d: %w", len(body), maxBody, unix.EMSGSIZE)
	}
	if len(body) > maxInline {
		memfd, err := memoryFile(body[maxInline:])
		if err != nil {
			return fmt.Errorf("a message of %d bytes: %w", len(body), err)
		}
		defer memfd.Close()
		header[2] = flagMemfd
		body, files = body[:maxInline], append(files[:len(files):len(files)], memfd)
	}
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	data := append(header, body...)

	var err error
	closed := c.raw.Write(func(fd uintptr) bool {
		for {
			_, err = unix.SendmsgN(int(fd), data, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if err != unix.EINTR {
				return !wait || err != unix.EAGAIN
			}
		}
	})
	if closed != nil {
		return os.ErrClosed
	}
	return err
}

// receive returns the next packet, or io.EOF when the other end is closed and all
// that it had sent has been received. After errMalformed and errProtocol it can be
// called again.
func (c *conn) receive() (packet, error) {
	for {
		var n, oobn, flags int
		var err error
		closed := c.raw.Read(func(fd uintptr) bool {
			n, oobn, flags, _, err = unix.Recvmsg(int(fd), c.buf, c.oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
			return err != unix.EAGAIN
		})
		switch {
		case closed != nil:
			return packet{}, closed
		case err == unix.EINTR:
		case err == unix.ECONNRESET: // it closed without reading all; what it sent is still there
		case err != nil && passing(err): // nothing says that the other end is gone
			time.Sleep(time.Millisecond)
		case err != nil:
			return packet{}, os.NewSyscallError("recvmsg", err)
		case n == 0 && oobn == 0:
			return packet{}, io.EOF
		default:
			return c.parse(c.buf[:n], c.oob[:oobn], flags)
		}
	}
}

func (c *conn) parse(data, oob []byte, flags int) (p packet, err error) {
	if p.files, err = rights(oob); err != nil {
		return packet{}, err
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	p.lost = flags&unix.MSG_CTRUNC != 0
	switch {
	case len(data) < 1:
		return p, errMalformed
	case data[0] != protocol:
		return p, fmt.Errorf("%w: %d here, %d there", errProtocol, protocol, data[0])
	case len(data) < headerLen, flags&unix.MSG_TRUNC != 0:
		return p, errMalformed
	}
	p.kind, p.body = kind(data[1]), append([]byte(nil), data[headerLen:]...)
	if data[2]&flagMemfd == 0 || p.lost {
		return p, nil
	}
	if len(p.files) == 0 {
		return p, errMalformed
	}
	last := len(p.files) - 1
	memfd := p.files[last]
	p.files = p.files[:last]
	defer memfd.Close()
	p.body, err = appendMemory(p.body, memfd)
	return p, err
}

// rights makes files of the descriptors in control messages.
func rights(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, os.NewSyscallError("control message", err)
	}
	var files []*os.File
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_RIGHTS {
			continue
		}
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, os.NewSyscallError("control message", err)
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), ""))
		}
	}
	return files, nil
}

// memoryFile returns a file without a name that holds data.
func memoryFile(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("message", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "message")
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// appendMemory appends what a memoryFile holds.
func appendMemory(body []byte, f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil || info.Size() > maxBody {
		return nil, errMalformed
	}
	head := len(body)
	body = append(body, make([]byte, info.Size())...)
	if _, err := f.ReadAt(body[head:], 0); err != nil {
		return nil, errMalformed
	}
	return body, nil
}
