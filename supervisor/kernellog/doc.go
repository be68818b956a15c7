// Package kernellog reads from the kernel's log whom the kernel has ended for lack of memory.
//
// # Model
//
// The kernel counts such kills in memory.events of the group, and names them in its log
// alone. The log keeps the past, so that a worker which begins later can look back. A [Log]
// is looked at when something was counted, never on its own; it remembers how far it has read
// and the last kills.
//
// # Whom to believe
//
// A process calls itself what it likes, names of groups may hold nearly anything, and whoever
// may write to /dev/kmsg can write lines like these. So:
//
//   - A record counts only with the kernel's own facility, 0: what user space writes has
//     another one, always.
//   - Groups are read from the left. No name can hold a slash, so the first "memcg=/" is the
//     kernel's; and a victim's group is the limit's, or below it.
//   - pid and uid are read from the right, behind the name; a name has 15 bytes at most.
//
// What a tree can garble by odd names is what is said of itself.
//
// # What the log does not tell
//
// The kernel describes at most 10 such events in 5 s. It may have dropped old records. Pids
// and groups are those of the first namespaces: where we are not in them, nothing here can be
// compared with what we know.
package kernellog
