// Package telnet is the wire between the daemon and everybody who talks to it:
// both ends of a line protocol for `nc -U`, socat, telnet clients and programs.
// It carries actions and answers and knows no verbs.
//
// # A conversation
//
//	server:  ** Welcome: you are not authenticated, provide secret.
//	client: mysecret
//	server:  ** Welcome: you are authenticated.
//	client: !!process.list jobid:e42
//	client:
//	server: **RESULT** e42
//	server: NAME  STATUS
//	server: **ENDRESULT**
//
// A wrong secret is answered after a second, by "Invalid secret. Try again or
// disconnect.", and the third ends the connection. Until then a client may take
// 30 s and 16 KiB, and 1 MiB of telnet commands.
//
// # Strangers
//
// Whoever comes over TCP, or as another user than root and ourselves over a Unix
// socket, is a stranger, and must not be able to keep out the owner, or anybody who
// knows the secret. So door.go bounds how many strangers there may be (of one address
// or user, and over all), how many descriptors they take, and how often they guess:
// three wrong secrets of an address cost nobody else any time, each further one makes
// the next answer to that address wait, for up to 10 s, and all addresses together
// have ten wrong guesses a second. A stranger who has waited longest makes room for
// the next one, so that a program that gives its secret at once comes in. What they
// do wrong is told at the first time, and then summed up once a minute.
//
// A [Framer] finds where an action ends: outside of quotes at a line that starts
// with "!!" or "#", at an empty line, at the end of input. So a program sends an
// empty line behind an action to have it carried out at once. At most 1 MiB may
// wait for its end. The lines !!quit and !!exit end the connection, !!interactive
// turns colours on and off, !!help goes to the [Handler].
//
// Actions of one connection run one after another. Who hangs up cancels nothing:
// what was sent is carried out. The end of input is an end like another; only
// when a connection breaks, an unfinished last line is not trusted, nor
// the action it belongs to.
//
// # Frames
//
// An answer is "**RESULT** ", the jobid or nothing, a payload and
// "**ENDRESULT**", each on a line. The payload is text, whole lines: where the
// last one has no line end, it gets one. A payload line that matches "^ *\*\*"
// is sent with one more leading blank and [Client] takes it away again, so that
// a payload never ends its own frame. All other bytes travel as they are; who
// needs to know whether there was a last line end encodes the bytes, as JSON
// answers do. A person in an editing session sees the payload alone.
//
// # Negotiation
//
// On a Unix socket bytes are just bytes, LF ends a line, and nothing but text is
// sent, until the client sends a telnet command. Over TCP commands are
// understood, and sent, from the start. From then on a line may end in CR LF, CR
// NUL, LF or CR (so CR cannot be sent as data), answers have CR LF, a single CR
// in them is CR NUL, and 0xFF is doubled. 0xFF and a byte that makes no command
// is not taken for negotiation: it is passed on for the parser to refuse.
//
// The server asks to echo, and echoes nothing, while it waits for the secret. A
// client that agrees belongs to a person: it is asked for SGA (each key at once), its
// window size and the type of its terminal, and gets an editing session if there is one
// ([Server.Edit]). All others get plain lines. Ctrl-C, as a key or as the
// command IP, ends an answer without an end and drops what is pending.
//
// # Implementation
//
// framer.go finds actions, frame.go writes and reads frames, options.go is the
// state of a negotiation, decoder.go turns bytes into text. These four do no
// input or output of their own but through a reader or writer given to them.
// door.go says who may come in, tally.go what the log hears of it.
// session.go is one connection: one goroutine reads ahead, up to 64 KiB (8 before the
// secret), so that it sees commands, Ctrl-C and hang-ups while the other one carries out an
// action. peer.go holds what only the kernel knows about the other end.
package telnet
