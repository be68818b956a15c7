package telnet

import "strings"

// A decoder turns what arrives into text. Until the other end negotiates, bytes
// pass as they are. A 0xFF that begins no command is passed on, as it is not
// UTF-8 and will be refused with the text it stands in.
type decoder struct {
	negotiated bool
	payload    bool // we are the client: a CR that ends no line is data
	opts       options

	state decoderState
	cmd   byte
	sub   []byte
	cr    bool

	reply  []byte // to send; the caller empties it
	width  int    // of the window; 0 is unknown
	height int

	terminal string // its type; empty is unknown
}

type decoderState uint8

const (
	inData decoderState = iota
	afterIAC
	afterOption // WILL, WONT, DO or DONT
	inSub
	afterSubIAC
)

// maxSub bounds what is kept of a sub-negotiation. The one that matters has
// five bytes.
const maxSub = 64

// decode appends the text in src to dst. It stops behind an interrupt (Ctrl-C
// as a telnet client in line mode sends it) and says so; n is how much of src
// was read.
func (d *decoder) decode(dst, src []byte) (text []byte, n int, interrupt bool) {
	for n < len(src) {
		c := src[n]
		n++
		switch d.state {
		case inData:
			if c == cmdIAC {
				d.state = afterIAC
			} else {
				dst = d.data(dst, c)
			}
		case afterIAC:
			d.state = inData
			if c < cmdEOF || c == cmdIAC {
				dst = d.data(dst, cmdIAC)
				if c != cmdIAC {
					dst = d.data(dst, c)
				}
				continue
			}
			d.negotiated = true
			switch c {
			case cmdWill, cmdWont, cmdDo, cmdDont:
				d.cmd, d.state = c, afterOption
			case cmdSB:
				d.sub, d.state = d.sub[:0], inSub
			case cmdIP, cmdBreak, cmdAbort:
				return dst, n, true
			case cmdEOF:
				dst = d.data(dst, ctrlD)
			case cmdAYT:
				d.reply = append(d.reply, "[yes]\r\n"...)
			}
		case afterOption:
			d.state = inData
			d.reply = append(d.reply, d.opts.receive(d.cmd, c)...)
		case inSub:
			if c == cmdIAC {
				d.state = afterSubIAC
			} else {
				d.addSub(c)
			}
		case afterSubIAC:
			switch c {
			case cmdIAC:
				d.addSub(c)
				d.state = inSub
			case cmdSE:
				d.endSub()
				d.state = inData
			default:
				// The end is missing; go on with the command.
				n--
				d.state = afterIAC
			}
		}
	}
	return dst, n, false
}

// data appends one byte of text. Where lines may end in CR LF, CR NUL, LF or
// CR, each becomes LF, and a CR at once, since nothing may follow it.
func (d *decoder) data(dst []byte, c byte) []byte {
	if !d.negotiated {
		return append(dst, c)
	}
	cr := d.cr
	d.cr = c == '\r'
	if d.payload {
		switch {
		case cr && c == '\n':
			return append(dst, '\n')
		case cr && c == 0:
			return append(dst, '\r')
		case cr:
			dst = append(dst, '\r')
		}
		if c == '\r' {
			return dst
		}
		return append(dst, c)
	}
	switch {
	case cr && (c == '\n' || c == 0):
		return dst
	case c == '\r':
		return append(dst, '\n')
	}
	return append(dst, c)
}

func (d *decoder) addSub(c byte) {
	if len(d.sub) < maxSub {
		d.sub = append(d.sub, c)
	}
}

func (d *decoder) endSub() {
	if len(d.sub) == 5 && d.sub[0] == optWindowSize && d.opts.canThem[optWindowSize] {
		d.width = int(d.sub[1])<<8 | int(d.sub[2])
		d.height = int(d.sub[3])<<8 | int(d.sub[4])
	}
	if len(d.sub) > 2 && d.sub[0] == optTerminal && d.sub[1] == terminalIs && d.opts.canThem[optTerminal] {
		d.terminal = terminalName(d.sub[2:])
	}
}

// terminalName is the name of a terminal's type, which clients may shout; empty where it is
// none.
func terminalName(sent []byte) string {
	for _, c := range sent {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return strings.ToLower(string(sent))
}

// encode appends p to dst as a telnet client reads it: 0xFF doubled, LF as CR
// LF, CR as CR NUL.
func encode(dst, p []byte) []byte {
	for _, c := range p {
		switch c {
		case cmdIAC:
			dst = append(dst, cmdIAC, cmdIAC)
		case '\n':
			dst = append(dst, '\r', '\n')
		case '\r':
			dst = append(dst, '\r', 0)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
