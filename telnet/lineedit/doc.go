// Package lineedit is a session for a person at a terminal: a line editor with
// history, completion and colours, on any connection that carries single keys.
// A server plugs it into telnet sessions ([Serve]), a client runs it on its own
// terminal in raw mode ([Run]).
//
// # Model
//
// Enter carries out the action, unless a quote is open; then the prompt changes
// and the action goes on. Lines of a bracketed paste are no Enters: they end
// actions by the rules of the wire (the next "!!", "#", an empty line), so that
// indented lines stay with their action. Tab completes a word, also a value whose
// quote opened in that word; within any other quote, and in front of the first
// word of a further line, it is itself. Ctrl-C drops what is pending, or ends an
// answer that has no end; Ctrl-D on an empty line ends the session, as !!quit and
// !!exit do. !!interactive turns colours on and off. Everything else goes to
// Execute.
//
// What is typed for help, quit, exit and interactive needs no "!!".
//
// What an action prints is shown with its control bytes escaped, so that no log
// line can play with the person's terminal. Errors and help are folded to fit the
// window.
//
// # Implementation
//
// golang.org/x/term's Terminal edits. It trusts its input, so keys.go gives it
// whole keys only, at most one Enter at a time. One goroutine reads, so that
// Ctrl-C is seen while an action runs; all else is the caller's.
package lineedit
