// Package notify is what services say of themselves: the datagrams of sd_notify, and the
// socket that they arrive at.
//
// # Model
//
//	Listen ──▶ socket ── held by the keeper, so that what waits in it outlives a worker
//	              │
//	            Open ──▶ Receiver ── Peek ──▶ bytes, Sender ── Parse ──▶ Message
//	                         └────── Next: the datagram has been dealt with
//
// A datagram stays in the socket until it has been dealt with: should the worker die before
// Next, its successor peeks at the same one. So everything that a message brings about must
// bear to be brought about twice.
//
// # Descriptors
//
// None that comes with a datagram is taken: the kernel closes it when the datagram is taken
// out of the socket. That is all that BARRIER=1 asks for, since whatever was sent before has
// been dealt with by then, and FDSTORE=1 has no other effect here.
package notify
