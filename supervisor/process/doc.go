// Package process says what a managed process is.
//
// A process is a named thing under management. Its [Spec] is what was asked
// for: a command and how to run it. Each execution of it is a [Run], numbered
// from 1; a run lasts from spawn until its cgroup is empty, and ends with one
// [Cause]. A [Status] is what is known about a process at one moment: its
// spec, its [State] and the figures of the current run or, at rest, of the
// last one.
//
// The types here are the ones that travel: the JSON names and units are a
// contract with clients, the [Error] codes too. A figure that is not known is
// absent (a nil pointer), never zero. Beside the standard library
// the package imports telnet/screen alone, so that a client pulls in nothing else.
package process
