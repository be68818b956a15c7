// Package private makes sure that files and directories are this user's alone to
// change.
//
// # Model
//
// The daemon trusts what stands in its directories: it runs commands that it reads
// there, and it removes and overwrites files by their names. So nobody else may put
// anything there, nor put another directory in the place of one.
//
// A directory is private if it belongs to this user and nobody else can write to it,
// and if the same is true, for this user or root, of every directory on the way to it.
// On the way a directory that all may write to will do if it is sticky, as /tmp is:
// there nobody can rename what belongs to somebody else. Links on the way must belong
// to this user or to root.
//
//	CheckDir, MakeDir  a directory, by its whole path
//	CheckParent        the directory of a socket: it may be /tmp itself
//	CheckUpTo          a group, up to the mount of cgroup v2
//	CheckBelow         a directory that is directly below one that was checked
//	OpenFile           a file there, as ReadFile; links are not followed
//	ReadGiven          a file there that the user has written, and others may read
//	ReadSecret         a file that was given, wherever it is, as ReadTrusted
//
// What was found wrong is an [*Error], which says what mends it.
//
// # Implementation
//
// The checks go down the path from the root, by name. Nobody but this user and root
// can change a name that was checked, so nothing can be exchanged between check and use.
package private
