// Package top is a view of all processes that fills a screen and follows them: what
// `pmclient top` shows on its terminal, and the daemon in a telnet session.
//
// # Model
//
// A [Model] is what is known and what the person has chosen: the rows, the column they are
// sorted by, the filter, the row under the cursor, the pane (the list, the tree or the log of
// one process, the keys), a question that waits for its answer. Figures and keys change it,
// and nothing else does. [Model.Press] answers a key with what is to be done, and
// [Model.Page] is what stands on a screen of so many cells: both are pure.
//
// The cursor stays on its process when rows change places, once it was moved; before that it
// stays on the first row. What a question is about is settled when it is put, so no row that
// moves meanwhile is meant instead.
//
// # Text
//
// A page holds nothing that a terminal acts on, and each of its lines fits the width: what
// others have given (commands, logs) is escaped and cut by package screen.
//
// # Implementation
//
// model.go has the rows, column.go how they are shown and sorted, press.go the keys, page.go
// the layout. [Run] is the loop: figures once a second, keys, a [Display]. The drawing is not
// here: package tty draws pages on a terminal.
package top
