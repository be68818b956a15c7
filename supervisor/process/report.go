package process

import "slices"

// Report is what an examination of the host found: the facts that programs ask
// for, and findings for people.
type Report struct {
	Kernel      string    `json:"kernel,omitempty"` // its release, such as 6.1.0-18-amd64
	Hierarchy   Hierarchy `json:"hierarchy"`        // how cgroup v2 is mounted
	Mount       string    `json:"mount,omitempty"`  // where
	Root        string    `json:"root,omitempty"`   // directory of the delegated root
	Controllers []string  `json:"controllers"`      // of cpu, memory, pids and io, those that runs can have
	Missing     []string  `json:"missing"`          // and the others
	Findings    []Finding `json:"findings"`         // in the order in which to read them
}

// OK reports whether there is no problem. Notes are none.
func (r Report) OK() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Level == LevelProblem })
}

// Finding is one thing that was examined.
type Finding struct {
	Subject string `json:"subject"` // one word or two: "memory", "open files"
	Level   Level  `json:"level"`
	Found   string `json:"found"`          // what there is, and what follows from it
	Mend    string `json:"mend,omitempty"` // the command or setting that mends it; empty if there is nothing to do
}

// Level is how much a finding matters.
type Level uint8

// The levels.
const (
	LevelOK      Level = iota + 1 // as it should be
	LevelNote                     // it works, with less
	LevelProblem                  // the daemon cannot start, or cannot keep its promises
)

var levelNames = names[Level]{"level", []string{
	LevelOK: "ok", LevelNote: "note", LevelProblem: "problem",
}}

func (l Level) String() string                { return levelNames.text(l) }
func (l Level) MarshalText() ([]byte, error)  { return levelNames.marshal(l) }
func (l *Level) UnmarshalText(b []byte) error { return levelNames.unmarshal(l, b) }

// Hierarchy is how cgroup v2 is mounted.
type Hierarchy uint8

// The hierarchies.
const (
	HierarchyNone    Hierarchy = iota + 1 // not at all, or not to be written
	HierarchyUnified                      // it has all controllers
	HierarchyHybrid                       // v1 hierarchies hold some or all controllers
	HierarchyPrivate                      // mounted by the daemon, in its runtime directory
)

var hierarchyNames = names[Hierarchy]{"hierarchy", []string{
	HierarchyNone: "none", HierarchyUnified: "unified", HierarchyHybrid: "hybrid", HierarchyPrivate: "private",
}}

func (h Hierarchy) String() string                { return hierarchyNames.text(h) }
func (h Hierarchy) MarshalText() ([]byte, error)  { return hierarchyNames.marshal(h) }
func (h *Hierarchy) UnmarshalText(b []byte) error { return hierarchyNames.unmarshal(h, b) }
