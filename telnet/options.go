package telnet

// Commands and options of RFC 854, 857, 858, 860, 1073 and 1091.
const (
	cmdEOF   = 236
	cmdAbort = 238
	cmdSE    = 240
	cmdBreak = 243
	cmdIP    = 244
	cmdAYT   = 246
	cmdSB    = 250
	cmdWill  = 251
	cmdWont  = 252
	cmdDo    = 253
	cmdDont  = 254
	cmdIAC   = 255

	optEcho       = 1
	optSGA        = 3
	optTimingMark = 6
	optTerminal   = 24
	optWindowSize = 31
)

// An optionState is one side of one option, as in RFC 1143 without its queue:
// we never change our mind while an answer is on its way.
type optionState uint8

const (
	optionNo optionState = iota
	optionAsked
	optionYes
	optionRefused // asked, and the other end said no
	optionLeaving // we said no to what was agreed; the answer is on its way
)

// options are both sides of a negotiation. An answer is sent only when a state
// changes, so two ends never answer each other's answers.
type options struct {
	us, them map[byte]optionState
	canUs    map[byte]bool // what we do when asked
	canThem  map[byte]bool // what we let the other end do
}

func serverOptions() options {
	return options{us: map[byte]optionState{}, them: map[byte]optionState{}, canUs: serverDoes, canThem: serverLets}
}

var (
	serverDoes = map[byte]bool{optEcho: true, optSGA: true}
	serverLets = map[byte]bool{optSGA: true, optWindowSize: true, optTerminal: true}
)

// What stands in a sub-negotiation of the terminal's type.
const (
	terminalIs   = 0
	terminalSend = 1
)

// clientOptions refuse everything.
func clientOptions() options {
	return options{us: map[byte]optionState{}, them: map[byte]optionState{}}
}

// receive takes DO, DONT, WILL or WONT and returns the answer, if any.
func (o *options) receive(cmd, opt byte) []byte {
	side, can, yes, no := o.us, o.canUs, byte(cmdWill), byte(cmdWont)
	if cmd == cmdWill || cmd == cmdWont {
		side, can, yes, no = o.them, o.canThem, cmdDo, cmdDont
	}
	state := side[opt]
	if cmd == cmdDo || cmd == cmdWill {
		switch {
		case state == optionAsked:
			side[opt] = optionYes
			return o.begun(cmd, opt)
		case state == optionLeaving || state == optionYes:
		case cmd == cmdDo && opt == optTimingMark:
			// Not a state: each request is one mark.
			return []byte{cmdIAC, cmdWill, opt}
		case can[opt]:
			side[opt] = optionYes
			return append([]byte{cmdIAC, yes, opt}, o.begun(cmd, opt)...)
		default:
			return []byte{cmdIAC, no, opt}
		}
		return nil
	}
	switch state {
	case optionAsked:
		side[opt] = optionRefused
	case optionLeaving:
		side[opt] = optionNo
	case optionYes:
		side[opt] = optionRefused
		return []byte{cmdIAC, no, opt}
	}
	return nil
}

// begun is what to send when an option was agreed to.
func (o *options) begun(cmd, opt byte) []byte {
	if cmd == cmdWill && opt == optTerminal {
		return []byte{cmdIAC, cmdSB, optTerminal, terminalSend, cmdIAC, cmdSE}
	}
	return nil
}

// ask returns what to send to begin with an option on our side (WILL) or
// theirs (DO); nothing if that was asked before.
func (o *options) ask(cmd, opt byte) []byte {
	side := o.us
	if cmd == cmdDo {
		side = o.them
	}
	if side[opt] != optionNo {
		return nil
	}
	side[opt] = optionAsked
	return []byte{cmdIAC, cmd, opt}
}

// leave returns what to send to end an option on our side.
func (o *options) leave(opt byte) []byte {
	switch o.us[opt] {
	case optionYes:
		o.us[opt] = optionLeaving
	case optionAsked:
		// The answer may be on its way; it is then a request of its own,
		// and refused.
		o.us[opt] = optionLeaving
	default:
		return nil
	}
	return []byte{cmdIAC, cmdWont, opt}
}
