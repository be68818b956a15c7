// Package heroscript reads and writes heroscript, a small language of actions.
//
//	!!process.start name:web command:'cd /srv/web
//	    exec ./serve --port 80' log          // a comment
//	    deadline: 30
//
// # Model
//
// A script is a list of actions. An action is "!!", a name or actor.name, and
// parameters, in the order in which they were written. A parameter is a key
// with a value. All values are text; what a key means and whether it may stand
// twice is decided by whoever carries out the action, and every position
// is kept for that, so that later errors can point into the text too.
//
// An action begins at column 1 and goes on over the following lines as long as
// they are indented or empty. It ends at the next line with something at
// column 1: an action or a comment. Anything else there is an error.
//
// A value is written in one of two ways. An unquoted value runs to the next
// blank and holds no quote. A quoted value stands in single or double quotes
// and holds any text, over as many lines as it needs. It arrives exactly as
// written: no indentation is taken away, tabs and line ends stay what they
// are. There are two escapes, a backslash before a quote of the enclosing kind
// and a backslash before a backslash; before anything else a backslash is
// itself, so '\"' and '\n' are two characters each.
//
// A key alone is a flag and has the value "true". A key with a colon and
// nothing behind it is empty, unless the next line is indented and begins
// with a quote: then that quoted value is the key's.
//
// The text is UTF-8 without NUL. A byte order mark at column 1 counts for nothing. A
// line ends with LF or CR LF; outside of quotes and comments a CR stands nowhere else.
// Keys are read without case. An action has at most [MaxParams] parameters.
//
// # Grammar
//
//	script    = { filler | action } .
//	filler    = end | "#" text eol .
//	action    = "!!" [ word "." ] word { gap parameter } end .
//	gap       = blanks | end { end } blanks .
//	end       = [ blanks [ "//" text ] ] eol .
//	parameter = word [ ":" [ value ] ] .
//	value     = [ blanks ] ( unquoted | quoted )
//	          | [ blanks ] eol blanks quoted .
//	unquoted  = plain { plain } .
//	quoted    = "'" { `\\` | `\'` | any but "'" } "'"
//	          | '"' { `\\` | `\"` | any but '"' } '"' .
//	word      = ( letter | digit | "_" ) { letter | digit | "_" } .
//	blanks    = ( " " | tab ) { " " | tab } .
//	eol       = [ CR ] ( LF | end of the text ) .
//
// Letters and digits are those of ASCII. A plain character is any but blank,
// tab, CR, LF and the two quotes. Text is anything up to the end of its line.
// Where two readings fit, the first alternative and the longest match hold. So
// what stands behind "key: " on the same line is always its value, even if it
// looks like a comment or another key.
//
// # Implementation
//
// One scanner, a state machine that takes a byte at a time, serves [Parse] and
// [Stream]. Parse stops at its first fault. A Stream goes on, as a reader of
// lines must know where a faulty action ends. Its rule: a quote opens only
// where a value may begin, and a fault reaches to the next blank or line end.
// Behind it the text is read as before. So "it's" opens no quote, neither in a
// value nor elsewhere, and a script within quotes behind a fault on the same
// line is not taken for actions.
package heroscript
