package process

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSelections(t *testing.T) {
	known := []string{"batch-1", "batch-2", "db", "web"}
	for text, want := range map[string]string{
		"web": "web", "web,db": "web db", "web, db": "web db", "web,web": "web", "batch-*": "batch-1 batch-2", "*": "batch-1 batch-2 db web",
		"web,*": "web batch-1 batch-2 db", "nobody": "nobody", "batch-?": "batch-1 batch-2", "[dw]*": "db web",
		"web,x-*": "web x-*", "x-*,y?,x-*": "x-* y?",
	} {
		s, err := ParseSelection(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		names, err := s.Resolve(known)
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
		if _, plain := s.Name(); plain != !strings.ContainsAny(text, ",*?[") {
			t.Errorf("%q: one plain name: %v", text, plain)
		}
	}
	for _, text := range []string{"", ",", "a,", "a\n", " a", "a,b\n", ",a", "a,,b", "a b", "a b*", "[", "a*/b", `a\*`, "-a", strings.Repeat("a,", MaxSelection), strings.Repeat("*", MaxName+1)} {
		if s, err := ParseSelection(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.20q: got %v, %v", text, s, err)
		} else if len(err.Error()) > 400 {
			t.Errorf("%.20q: the error has %d bytes", text, len(err.Error()))
		}
	}
	if names, err := (Selection{"x-*"}).Resolve(known); !errors.Is(err, ErrNotFound) {
		t.Errorf("a pattern that matches nothing, alone: %v, %v", names, err)
	}
	if names, _ := (Selection{"*"}).Resolve(slices.Clone(known)); !slices.Equal(names, known) {
		t.Errorf("got %v", names)
	}
}
