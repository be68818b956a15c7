// Package config is what the daemon is told: its flags, and who gives them values.
//
// # Model
//
// All flags are in one table, [Flags]. Each has a name, what its value is, a default, and
// one line of help. From the table come the command line, the names in the environment and
// in the configuration file, their checks and messages, -help, -check, the sample file and
// the documentation.
//
// The first of these that gives a flag a value decides:
//
//	the command line     -socket-group pm
//	the environment      PROCESSMANAGER_SOCKET_GROUP=pm; an empty one is none
//	the file             socket-group = pm
//	the default
//
// Every value is checked, also one that another takes the place of, so that a mistake shows
// where it was made and not on the day on which it begins to count.
//
// # The file
//
// One NAME = VALUE a line, with the names of the flags. Blanks around both do not count. A
// line that begins with # is a comment, and so is what follows a # with a blank before it. A
// value in single or double quotes is what is between them. Yes and no are true/false,
// yes/no, y/n, 1/0, on/off. Paths are absolute. The file must be one that only root or the
// daemon's user can have written, see package private. The secret does not stand there.
//
// # Again
//
// A worker that comes after another, by an upgrade or a crash, reads the file again. What
// it can follow it follows; what the keeper holds (sockets, directories, the cgroup) stays
// as it is until the daemon is restarted, and is told. See [Held].
package config
