package lifecycle

import "github.com/freeflowuniverse/processmanager/supervisor/process"

// Seen is what others see of a process. The zero value: there is no such process.
type Seen struct {
	State     process.State
	Last      uint64 // the number of its last run that is over; 0: it has none
	Succeeded bool   // nothing of it runs, and that run did what it was to do
	Error     string // why it has failed, or, in Waiting, for what it waits in vain
}

// comes reports whether it is up, or may come up by itself.
func (s Seen) comes() bool {
	inVain := s.State == process.Waiting && s.Error != ""
	return s.State != 0 && !s.State.AtRest() && !inVain
}

// Needs is how a process stands to those that it needs.
type Needs struct {
	Of   func() []process.Need
	Look func(name string) Seen

	since map[string]uint64 // the last run of one when that was asked to start: a later one counts
	asked map[string]bool   // those that were asked to start, and have not done so yet
}

// Missing is what is needed and not there just now.
func (n *Needs) Missing() (list []process.Awaited) {
	for _, need := range n.Of() {
		if seen := n.Look(need.Name); !n.met(need, seen) {
			list = append(list, process.Awaited{Name: need.Name, Completed: need.Completed, State: seen.State, Error: seen.Error})
		}
	}
	return list
}

// met reports whether a need is. A job may be over before anybody has seen it run; where it
// need not have completed, what ran before it was asked for does not count.
func (n *Needs) met(need process.Need, seen Seen) bool {
	if need.Completed {
		return seen.Succeeded
	}
	return seen.State == process.Running || seen.Succeeded && seen.Last > n.since[need.Name]
}

// Lost is what is missing and will not come by itself.
func (n *Needs) Lost() (list []process.Awaited) {
	for _, w := range n.Missing() {
		if !(Seen{State: w.State, Error: w.Error}).comes() && !n.asked[w.Name] {
			list = append(list, w)
		}
	}
	return list
}

// Vain is what keeps the process waiting: the first that is lost, however many wait in
// between. Empty: all may come.
func (n *Needs) Vain() string {
	switch list := n.Lost(); {
	case len(list) == 0:
		return ""
	case list[0].State == process.Waiting:
		return list[0].Error
	default:
		return "for " + list[0].String()
	}
}

// Ask gives the names of those that must be started when somebody wants the process now.
// Each is to be told with [Needs.Done] when it has been asked, and is not lost before.
func (n *Needs) Ask() (names []string) {
	for _, need := range n.Of() {
		seen := n.Look(need.Name)
		if seen.State == 0 || seen.comes() || need.Completed && seen.Succeeded {
			continue
		}
		if n.asked == nil {
			n.since, n.asked = map[string]uint64{}, map[string]bool{}
		}
		if seen.Last > 0 && !need.Completed {
			n.since[need.Name] = seen.Last
		}
		n.asked[need.Name] = true
		names = append(names, need.Name)
	}
	return names
}

// Done says that one has been asked to start.
func (n *Needs) Done(name string) { delete(n.asked, name) }

// Begun says that a run has begun: what was asked for it has come.
func (n *Needs) Begun() { clear(n.since) }
