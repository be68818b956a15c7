// Package verbs is the command set: what each heroscript verb takes, what it
// does to a [Manager], and how its result looks as text and as JSON.
//
// There is one table, [All]. The server runs it against the supervisor, the
// command-line client against a connection; the help, the client's flags and
// the completion are read from it as well. A verb's parameters are checked
// against the table before anything is carried out: unknown, doubled, missing
// and mistyped ones are errors with line and column.
package verbs
