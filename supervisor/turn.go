package supervisor

import (
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/order"
)

// turn is when something is done about one of several processes: behind others.
type turn struct {
	at     int // of the process, in the list
	behind []chan struct{}
	done   chan struct{} // closed when that is done
}

// take does it when its turn has come.
func (t *turn) take(do func()) {
	defer close(t.done)
	for _, other := range t.behind {
		<-other
	}
	do()
}

// inTurn are the turns of several processes, each behind those that it waits for.
func inTurn(names []string, by order.Graph) []turn {
	turns := make([]turn, len(names))
	if len(by) == 0 || len(names) == 1 {
		for i := range turns {
			turns[i] = turn{at: i, done: make(chan struct{})}
		}
		return turns
	}
	at, done := map[string]int{}, map[string]chan struct{}{}
	for i, name := range names {
		at[name], done[name] = i, make(chan struct{})
	}
	for i, name := range by.Sort(names) {
		turns[i] = turn{at: at[name], done: done[name]}
		for _, before := range by.Before(name, names) {
			turns[i].behind = append(turns[i].behind, done[before])
		}
	}
	return turns
}

// endAll ends all processes, each behind those that need it or come after it. Nothing is
// started meanwhile.
func (s *Supervisor) endAll(all []*managed) {
	byName := map[string]*managed{}
	names := make([]string, 0, len(all))
	for _, p := range all {
		byName[p.name] = p
		names = append(names, p.name)
		p.inbox.put(func() { p.handle(lifecycle.Event{Kind: lifecycle.Close}) })
	}
	for _, t := range inTurn(names, s.ordering.graph().Reversed()) {
		p := byName[names[t.at]]
		go func() { // ends with the loops, which Close waits for
			t.take(func() {
				p.inbox.put(func() { p.handle(lifecycle.Event{Kind: lifecycle.Shutdown}) })
				<-p.ended
			})
		}()
	}
}
