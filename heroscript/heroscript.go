package heroscript

import (
	"fmt"
	"strings"
)

// Pos is a place in a text.
type Pos struct {
	Line   int // from 1; lines end at LF
	Column int // from 1; counts characters (code points), a tab is one
}

// String returns the position as "line 2, column 7".
func (p Pos) String() string {
	return fmt.Sprintf("line %d, column %d", p.Line, p.Column)
}

// A Script is a list of actions in the order in which they were written.
type Script []Action

// An Action is one thing to do.
type Action struct {
	Actor  string // "process" in !!process.start; empty in !!help
	Name   string // "start" in !!process.start; the case is kept
	Params []Param
	Pos    Pos // of the "!!"
}

// Verb returns actor.name, or the name alone where there is no actor.
func (a Action) Verb() string {
	if a.Actor == "" {
		return a.Name
	}
	return a.Actor + "." + a.Name
}

// Get returns the first parameter with the key, compared without case.
func (a Action) Get(key string) (Param, bool) {
	for _, p := range a.Params {
		if strings.EqualFold(p.Key, key) {
			return p, true
		}
	}
	return Param{}, false
}

// A Param is one parameter of an action. A key that is written twice makes two.
type Param struct {
	Key      string // in lower case
	Value    string // "true" for a flag
	Flag     bool   // the key stood alone, without a colon
	Pos      Pos    // of the key
	ValuePos Pos    // of the value or its opening quote; of a flag the key; of an empty value the place behind the colon
}

// A SyntaxError says where a text is not heroscript, what was expected there
// and what was found.
type SyntaxError struct {
	Pos Pos
	Msg string
}

// Error returns position and message, as in
// "line 3, column 9: quote opened here is never closed".
func (e *SyntaxError) Error() string {
	return e.Pos.String() + ": " + e.Msg
}
