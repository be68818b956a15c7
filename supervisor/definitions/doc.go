// Package definitions is about definitions that stand in files.
//
// # Model
//
// A file holds actions of process.define, in heroscript, and nothing else. A folder is all
// its files whose name ends with .hero, in the order of their names:
//
//	Folder ── files of the daemon's own folder, which only its user can have written
//	Parse ─── each definition, with the file, line and column where it stands
//	Plan ──── what has to be done for them to hold
//	Text ──── the way back: a definition as an action
//
// Folder reads what makes the daemon run commands, so it takes what package private calls
// somebody's own: a directory and regular files of the daemon's user that nobody else can
// write to, and no links. What a client applies the client reads.
//
// Plan is a pure function of what is wanted and what there is. A process keeps who
// defined it: a file, or a command. What a file defines is the file's from then on,
// whoever had defined it; what somebody has changed meanwhile by set is undone, since the
// difference is taken from what there is. Prune takes what the path had defined: the file
// itself, or a file directly in that folder. What others have defined stays.
package definitions
