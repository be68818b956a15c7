package process

import (
	"fmt"
	"slices"
	"strings"
)

// MaxNeeds is how many others a process may need, or come after.
const MaxNeeds = 256

// Ordering says what comes before a process.
type Ordering struct {
	Needs string // as ParseNeeds reads it: these start first, and it waits until they are ready
	After string // names: where these are started too it comes after them
}

// Need is another process that one needs.
type Need struct {
	Name      string
	Completed bool // a job of it must have succeeded; otherwise it must be up and ready
}

// completedMark stands behind the name of a job that must have succeeded.
const completedMark = ":completed"

func (n Need) String() string {
	if n.Completed {
		return n.Name + completedMark
	}
	return n.Name
}

// ParseNeeds reads names with commas or blanks between them; a name with :completed behind
// it is a job that must have succeeded.
func ParseNeeds(text string) (needs []Need, err error) {
	return parseNeeds(text, "db, or db:completed, with commas between several")
}

// parseNeeds is ParseNeeds; takes says what may be given.
func parseNeeds(text, takes string) (needs []Need, err error) {
	for _, one := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }) {
		n := Need{Name: one}
		if name, completed := strings.CutSuffix(one, completedMark); completed {
			n = Need{name, true}
		}
		if err := ValidateName(n.Name); err != nil {
			return nil, fmt.Errorf("%s is no name of a process: %s", Printable(one), takes)
		}
		if slices.ContainsFunc(needs, func(other Need) bool { return other.Name == n.Name }) {
			return nil, fmt.Errorf("%s is there twice", n.Name)
		}
		needs = append(needs, n)
	}
	if len(needs) > MaxNeeds {
		return nil, fmt.Errorf("%d are too many: at most %d", len(needs), MaxNeeds)
	}
	return needs, nil
}

// parseNames reads names with commas or blanks between them.
func parseNames(text string) (names []string, err error) {
	needs, err := parseNeeds(text, "db, with commas between several")
	for _, n := range needs {
		if n.Completed {
			return nil, fmt.Errorf("%s: a name is enough: what comes first is waited for as it is started", n)
		}
		names = append(names, n.Name)
	}
	return names, err
}

// AllNeeds are the others that it needs.
func (o Ordering) AllNeeds() []Need {
	needs, _ := ParseNeeds(o.Needs) // it was valid
	return needs
}

// Before are the names of those that come before it, each once.
func (o Ordering) Before() (names []string) {
	for _, n := range o.AllNeeds() {
		names = append(names, n.Name)
	}
	after, _ := parseNames(o.After) // it was valid
	for _, name := range after {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// cleanNeeds is needs as it is kept and shown: what means the same reads the same.
func cleanNeeds(text string) (string, error) {
	needs, err := ParseNeeds(text)
	var texts []string
	for _, n := range needs {
		texts = append(texts, n.String())
	}
	return strings.Join(texts, ","), err
}

func cleanNames(text string) (string, error) {
	names, err := parseNames(text)
	return strings.Join(names, ","), err
}

// Awaited is another process that one waits for before it starts.
type Awaited struct {
	Name      string `json:"name"`
	Completed bool   `json:"completed,omitempty"` // a job of it must succeed; otherwise it must be up and ready
	State     State  `json:"status,omitempty"`    // 0: there is no such process
	Error     string `json:"error,omitempty"`     // why it failed
}

// String is a wait for people.
func (w Awaited) String() string {
	text := w.Name + " (not defined)"
	if w.State != 0 {
		text = w.Name + " (" + w.State.String() + ")"
	}
	if w.Error != "" {
		text = strings.TrimSuffix(text, ")") + ": " + w.Error + ")"
	}
	return text
}

// JoinAwaited is several waits for people.
func JoinAwaited(list []Awaited) string {
	var texts []string
	for _, w := range list {
		texts = append(texts, w.String())
	}
	return strings.Join(texts, ", ")
}
