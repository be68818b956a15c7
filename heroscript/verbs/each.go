package verbs

import (
	"io"
	"slices"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// each is a result that has one part for each process that was selected.
type each[T any] struct {
	parts []T
	plain bool // one plain name was given: in JSON one object
	said  func(T) error
	text  func(part T, width int) string // for people, whole lines
	apart string                         // stands between two texts
}

// eachOf is the result for what was selected, and the error of the one plain name that was
// given. said is why there is no part of a process; text writes one for people.
func eachOf[T any](of process.Selection, parts []T, said func(T) error, text func(part T, width int) string) (e each[T], err error) {
	e = each[T]{parts: parts, said: said, text: text}
	if _, e.plain = of.Name(); e.plain && len(parts) == 1 {
		err = said(parts[0])
	}
	return e, err
}

func (e each[T]) split() (result, []error) {
	told, failed := setApart(slices.Values(e.parts), e.said)
	e.parts = told
	return e, failed
}

func (e each[T]) write(w io.Writer, s style) error {
	switch {
	case s.json && e.plain && len(e.parts) == 1:
		return writeJSON(w, e.parts[0])
	case s.json:
		return writeArray(w, e.parts)
	}
	told, failed := setApart(slices.Values(e.parts), e.said)
	for i, part := range told {
		text := e.text(part, s.width)
		if i > 0 {
			text = e.apart + text
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return grid{}.told(w, 0, nil, failed)
}
