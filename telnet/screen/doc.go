// Package screen says how text stands on a terminal.
//
// # Model
//
// A terminal's line has cells. A character takes one cell, two (CJK, emoji) or none
// (marks that stand on the character before). Whatever is counted, cut, padded or
// folded for people is measured in cells, and cut between characters: so is everything
// that is cut because it is long, with "…" where more would follow.
//
// Text that others have given (names, commands, paths, log lines, errors that hold
// such) may contain what a terminal acts on. It goes out through [Writer], [Text] or
// [Line], which show that as Go strings do: \x1b, \u202e.
//
// A window may say that it has no columns, one, or 65535. [Columns] is the one place
// that makes a number of it that layouts can work with; the layouts themselves take
// any number all the same.
package screen
