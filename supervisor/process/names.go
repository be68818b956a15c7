package process

import (
	"path"
	"slices"
	"strings"
)

// Selection says which processes a request is about: names and patterns.
//
// A pattern holds * (any characters), ? (any one) or […] (one of these, as in a shell).
type Selection []string

// MaxSelection is how many bytes the text of a selection may have.
const MaxSelection = 64 << 10

// ParseSelection reads names and patterns with commas between them.
func ParseSelection(text string) (Selection, error) {
	if len(text) > MaxSelection {
		return nil, Errorf(CodeInvalid, "name: has %d bytes, at most %d", len(text), MaxSelection)
	}
	var s Selection
	several := strings.Contains(text, ",")
	for _, one := range strings.Split(text, ",") {
		if several {
			if one = strings.Trim(one, " "); one == "" {
				return nil, Errorf(CodeInvalid, "name: nothing stands before or behind a comma in %s", Printable(text))
			}
		}
		if err := validateSelected(one); err != nil {
			return nil, err
		}
		s = append(s, one)
	}
	return s, nil
}

// validateSelected reports why one is neither a name nor a pattern.
func validateSelected(one string) error {
	if !isPattern(one) {
		return ValidateName(one)
	}
	strange := func(r rune) bool { return !strings.ContainsRune("*?[]^", r) && !isNameRune(r) }
	if _, err := path.Match(one, ""); err != nil || len(one) > MaxName || strings.ContainsFunc(one, strange) {
		return Errorf(CodeInvalid, "name: %s is not a pattern: * is any characters, ? any one, [a-z] one of these", Printable(one))
	}
	return nil
}

func isPattern(text string) bool { return strings.ContainsAny(text, "*?[") }

// Name is the one plain name that s consists of.
func (s Selection) Name() (name string, ok bool) {
	if len(s) != 1 || isPattern(s[0]) {
		return "", false
	}
	return s[0], true
}

func (s Selection) String() string { return strings.Join(s, ",") }

// Resolve gives the names that s stands for, each once: plain ones as they are, whether
// they are known or not, and those of known that a pattern matches, sorted. A pattern
// that matches nothing is an error where it stands alone. Among others it stays as it is:
// [NotFound] is what there is to say of it.
func (s Selection) Resolve(known []string) (names []string, err error) {
	for _, one := range s {
		if !isPattern(one) {
			names = append(names, one)
			continue
		}
		before := len(names)
		for _, name := range known {
			if ok, _ := path.Match(one, name); ok {
				names = append(names, name)
			}
		}
		if len(names) == before {
			if len(s) == 1 {
				return nil, NotFound(one)
			}
			names = append(names, one)
		}
		slices.Sort(names[before:])
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(name string) bool {
		twice := seen[name]
		seen[name] = true
		return twice
	}), nil
}

// NotFound is the error for a name that no process has, or a pattern that matches none.
func NotFound(one string) *Error {
	if isPattern(one) {
		return Errorf(CodeNotFound, "no process matches '%s'", one)
	}
	return Errorf(CodeNotFound, "no process '%s'", one)
}

// Has reports whether a name is selected; an empty selection has all.
func (s Selection) Has(name string) bool {
	for _, one := range s {
		if ok, _ := path.Match(one, name); ok {
			return true
		}
	}
	return len(s) == 0
}
